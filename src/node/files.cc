#include "node/files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <limits>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "platform/process.h"

namespace berth::node {
namespace {

using platform::Fd;

/// The kernel writes a page of a file whole or, when the process is killed before, not at all.
constexpr off_t kUndividedBytes = 4096;

Result<> write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error("cannot write", path);
    content.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<> remove_entries(int directory, dev_t device, const std::string& path) {
  const int copy = ::dup(directory);
  DIR* listing = copy < 0 ? nullptr : ::fdopendir(copy);
  if (listing == nullptr) {
    if (copy >= 0) ::close(copy);
    return errno_error("cannot read the folder", path);
  }
  Result<> outcome;
  while (const dirent* entry = ::readdir(listing)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string child = fmt::format("{}/{}", path, name);
    struct stat status{};
    if (::fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISDIR(status.st_mode)) {
      if (::unlinkat(directory, entry->d_name, 0) != 0 && errno != ENOENT)
        outcome = errno_error("cannot remove", child);
      continue;
    }
    if (status.st_dev != device) {
      outcome = fail(ErrorCode::kInternal, "still a mount point, not removed", child);
      continue;
    }
    const Fd sub(
        ::openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!sub.valid()) continue;
    if (auto below = remove_entries(sub.get(), device, child); !below) outcome = below;
    if (::unlinkat(directory, entry->d_name, AT_REMOVEDIR) != 0 && errno != ENOENT && outcome)
      outcome = errno_error("cannot remove", child);
  }
  ::closedir(listing);
  return outcome;
}

}  // namespace

std::unexpected<Error> errno_error(std::string_view what, const std::string& path) {
  const int number = errno;
  return fail(number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kInternal,
              fmt::format("{}: {}", what, std::strerror(number)), path);
}

Result<std::string> read_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return errno_error("cannot read", path);
  std::string content;
  std::array<char, 8192> buffer;
  for (;;) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error("cannot read", path);
    if (n == 0) return content;
    content.append(buffer.data(), static_cast<size_t>(n));
  }
}

Result<int64_t> read_integer(const std::string& path) {
  BERTH_TRY(const std::string content, read_file(path));
  const std::string_view text = trim(content);
  if (text == "max") return std::numeric_limits<int64_t>::max();
  int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status == std::errc::result_out_of_range) return std::numeric_limits<int64_t>::max();
  if (status != std::errc() || end != text.data() + text.size())
    return fail(ErrorCode::kInternal, "not an integer", path);
  return value;
}

Result<> write_file_atomically(const std::string& path, std::string_view content, mode_t mode) {
  const std::string beside = path + ".new";
  Fd fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd.valid()) return errno_error("cannot write", beside);
  ::fchmod(fd.get(), mode);  // whatever the umask is
  BERTH_CHECK(write_all(fd.get(), content, beside));
  fd.reset();
  if (::rename(beside.c_str(), path.c_str()) != 0) return errno_error("cannot rename to", path);
  return {};
}

Result<> rewrite_record(const std::string& path, std::string_view content) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat status{};
  const bool fits = fd.valid() && ::fstat(fd.get(), &status) == 0 &&
                    status.st_size <= kUndividedBytes &&
                    content.size() <= static_cast<size_t>(kUndividedBytes);
  if (!fits) return write_file_atomically(path, content);
  std::string text(content);
  text.resize(std::max(text.size(), static_cast<size_t>(status.st_size)), ' ');
  if (::pwrite(fd.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()))
    return {};
  return write_file_atomically(path, content);
}

Result<> write_in_place(const std::string& path, std::string_view content) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (!fd.valid()) return errno_error("cannot write", path);
  return write_all(fd.get(), content, path);
}

Result<> make_directories(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) {
    ::chmod(path.c_str(), mode);
    return {};
  }
  if (errno == EEXIST) return {};
  const size_t slash = path.rfind('/');
  if (errno != ENOENT || slash == std::string::npos || slash == 0)
    return errno_error("cannot make the folder", path);
  BERTH_CHECK(make_directories(path.substr(0, slash), mode));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return errno_error("cannot make the folder", path);
  ::chmod(path.c_str(), mode);
  return {};
}

Result<> remove_tree(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0)
    return errno == ENOENT ? Result<>{} : errno_error("cannot remove", path);
  if (!S_ISDIR(status.st_mode)) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return errno_error("cannot remove", path);
    return {};
  }
  const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return errno_error("cannot remove", path);
  BERTH_CHECK(remove_entries(fd.get(), status.st_dev, path));
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return errno_error("cannot remove", path);
  return {};
}

}  // namespace berth::node
