#include "node/images/shared_files.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <vector>

#include <boost/json/parse.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "objects/json.h"
#include "platform/process.h"

namespace berth::node {
namespace {

namespace fs = std::filesystem;
using platform::Fd;

bool same_time(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/// Nothing when they cannot be read.
std::optional<std::map<std::string, std::string>> attributes_of(int fd) {
  std::array<char, 4096> names;
  std::array<char, 4096> value;
  const ssize_t length = ::flistxattr(fd, names.data(), names.size());
  if (length < 0) return std::nullopt;
  std::map<std::string, std::string> out;
  for (const char* name = names.data(); name < names.data() + length;) {
    const ssize_t size = ::fgetxattr(fd, name, value.data(), value.size());
    if (size < 0) return std::nullopt;
    const std::string& key =
        out.emplace(name, std::string(value.data(), static_cast<size_t>(size))).first->first;
    name += key.size() + 1;
  }
  return out;
}

bool same_content(int a, int b) {
  std::vector<char> left(size_t{1} << 18);
  std::vector<char> right(left.size());
  for (off_t at = 0;;) {
    const ssize_t n = ::pread(a, left.data(), left.size(), at);
    const ssize_t m = ::pread(b, right.data(), right.size(), at);
    if (n < 0 || n != m || !std::equal(left.begin(), left.begin() + n, right.begin())) return false;
    if (n == 0) return true;
    at += n;
  }
}

bool same_file(const std::string& path, const std::string& other, const struct stat& status) {
  struct stat there{};
  if (::lstat(other.c_str(), &there) != 0 || !S_ISREG(there.st_mode)) return false;
  if (there.st_ino == status.st_ino || there.st_dev != status.st_dev) return false;
  if (there.st_size != status.st_size || there.st_mode != status.st_mode ||
      there.st_uid != status.st_uid || there.st_gid != status.st_gid ||
      !same_time(there.st_mtim, status.st_mtim))
    return false;
  const Fd mine(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  const Fd theirs(::open(other.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!mine.valid() || !theirs.valid() || !same_content(mine.get(), theirs.get())) return false;
  const auto attributes = attributes_of(mine.get());
  return attributes && attributes == attributes_of(theirs.get());
}

/// The folder looks as before.
bool replace_by_link(const std::string& path, const std::string& other) {
  const std::string folder = fs::path(path).parent_path().string();
  const std::string beside = path + ".berth-link";
  struct stat status{};
  if (::stat(folder.c_str(), &status) != 0 || ::link(other.c_str(), beside.c_str()) != 0)
    return false;
  const bool done = ::rename(beside.c_str(), path.c_str()) == 0;
  if (!done) ::unlink(beside.c_str());
  const std::array times = {status.st_atim, status.st_mtim};
  ::utimensat(AT_FDCWD, folder.c_str(), times.data(), 0);
  return done;
}

JsonArray layers_of(std::string_view config) {
  boost::system::error_code error;
  const Json root = boost::json::parse({config.data(), config.size()}, error);
  return error ? JsonArray() : objects::find_array(root, {"rootfs", "diff_ids"});
}

}  // namespace

int64_t share_files(const std::string& rootfs, const std::string& other_rootfs) {
  std::vector<std::pair<std::string, struct stat>> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(rootfs, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    struct stat status{};
    if (::lstat(entry->path().c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_size > 0)
      files.emplace_back(entry->path().string().substr(rootfs.size()), status);
  }
  int64_t freed = 0;
  for (const auto& [path, status] : files)
    if (same_file(rootfs + path, other_rootfs + path, status) &&
        replace_by_link(rootfs + path, other_rootfs + path) && status.st_nlink == 1)
      freed += status.st_blocks * 512;
  return freed;
}

size_t layers_in_common(std::string_view config, std::string_view other_config) {
  const JsonArray layers = layers_of(config);
  const JsonArray others = layers_of(other_config);
  const auto end = std::ranges::mismatch(layers, others);
  return static_cast<size_t>(end.in1 - layers.begin());
}

}  // namespace berth::node
