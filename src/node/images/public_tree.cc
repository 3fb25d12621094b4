#include "node/images/public_tree.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace berth::node {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kDirectoryPublic = S_IROTH | S_IXOTH;

bool is_public(const struct stat& status) {
  if (S_ISDIR(status.st_mode)) return (status.st_mode & kDirectoryPublic) == kDirectoryPublic;
  return (status.st_mode & S_IROTH) != 0;
}

std::unexpected<Error> errno_error(const std::string& what, const std::string& path) {
  return fail(ErrorCode::kInternal, what + ": " + std::strerror(errno), path);
}

class Sync {
 public:
  explicit Sync(const PublicTreeOptions& options) : options_(options) {}

  Result<> directory(const std::string& source, const std::string& destination,
                     const std::string& relative) {
    if (::mkdir(destination.c_str(), 0755) != 0 && errno != EEXIST)
      return errno_error("cannot make the directory", destination);
    std::set<std::string> kept;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(source, ignored)) {
      const std::string name = entry.path().filename().string();
      const std::string path = relative.empty() ? name : relative + "/" + name;
      if (is_excluded(path)) continue;
      if (is_placeholder(path)) continue;
      BERTH_TRY(const bool keep, this->entry(source + "/" + name, destination + "/" + name, path));
      if (keep) kept.insert(name);
    }
    return remove_others(destination, relative, kept);
  }

 private:
  bool is_excluded(const std::string& path) const {
    return std::ranges::any_of(
        options_.excluded, [&](const std::string& pattern) { return matches_glob(pattern, path); });
  }

  bool is_placeholder(const std::string& path) const {
    return std::ranges::find(options_.placeholders, path) != options_.placeholders.end();
  }

  /// Is there now something at `destination`?
  Result<bool> entry(const std::string& source, const std::string& destination,
                     const std::string& relative) {
    struct stat status{};
    if (::lstat(source.c_str(), &status) != 0) return false;
    if (S_ISLNK(status.st_mode)) return link(source, destination);
    if (!is_public(status)) return false;
    if (S_ISDIR(status.st_mode)) {
      BERTH_CHECK(clear_unless(destination, S_IFDIR));
      BERTH_CHECK(directory(source, destination, relative));
      return true;
    }
    if (!S_ISREG(status.st_mode) || status.st_size > options_.max_file_bytes) return false;
    return file(source, destination, status);
  }

  static Result<bool> link(const std::string& source, const std::string& destination) {
    std::error_code error;
    const fs::path target = fs::read_symlink(source, error);
    if (error) return false;
    if (fs::read_symlink(destination, error) == target) return true;
    fs::remove_all(destination, error);
    fs::create_symlink(target, destination, error);
    if (error) return fail(ErrorCode::kInternal, "cannot link: " + error.message(), destination);
    return true;
  }

  static Result<> clear_unless(const std::string& path, mode_t type) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0 || (status.st_mode & S_IFMT) == type) return {};
    std::error_code error;
    fs::remove_all(path, error);
    if (error) return fail(ErrorCode::kInternal, "cannot remove: " + error.message(), path);
    return {};
  }

  static Result<bool> file(const std::string& source, const std::string& destination,
                           const struct stat& status) {
    struct stat old{};
    if (::lstat(destination.c_str(), &old) == 0 && S_ISREG(old.st_mode) &&
        old.st_size == status.st_size && old.st_mode == status.st_mode &&
        old.st_mtim.tv_sec == status.st_mtim.tv_sec &&
        old.st_mtim.tv_nsec == status.st_mtim.tv_nsec) {
      return true;
    }
    BERTH_CHECK(clear_unless(destination, S_IFREG));
    const std::string fresh = destination + ".berth-new";
    std::error_code error;
    fs::copy_file(source, fresh, fs::copy_options::overwrite_existing, error);
    if (error) return false;  // gone since it was listed
    const timespec times[2] = {status.st_mtim, status.st_mtim};
    if (::chown(fresh.c_str(), status.st_uid, status.st_gid) != 0 && ::geteuid() == 0)
      return errno_error("cannot set the owner", fresh);
    if (::chmod(fresh.c_str(), status.st_mode & 07777) != 0 ||
        ::utimensat(AT_FDCWD, fresh.c_str(), times, 0) != 0 ||
        ::rename(fresh.c_str(), destination.c_str()) != 0) {
      return errno_error("cannot write", destination);
    }
    return true;
  }

  Result<> remove_others(const std::string& destination, const std::string& relative,
                         const std::set<std::string>& kept) {
    std::error_code error;
    std::vector<fs::path> gone;
    for (const auto& entry : fs::directory_iterator(destination, error)) {
      const std::string name = entry.path().filename().string();
      const std::string path = relative.empty() ? name : relative + "/" + name;
      if (!kept.contains(name) && !is_placeholder(path)) gone.push_back(entry.path());
    }
    for (const fs::path& path : gone) {
      fs::remove_all(path, error);
      if (error)
        return fail(ErrorCode::kInternal, "cannot remove: " + error.message(), path.string());
    }
    return {};
  }

  const PublicTreeOptions& options_;
};

void collect_private(const std::string& directory, int depth, PrivatePaths& found) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    const std::string path = entry.path().string();
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0 || S_ISLNK(status.st_mode)) continue;
    if (S_ISDIR(status.st_mode)) {
      if (!is_public(status)) {
        found.directories.push_back(path);
      } else if (depth > 1) {
        collect_private(path, depth - 1, found);
      }
    } else if (!is_public(status)) {
      found.files.push_back(path);
    }
  }
}

}  // namespace

bool is_public(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && is_public(status);
}

bool matches_glob(std::string_view pattern, std::string_view name) {
  if (pattern.find('*') == std::string_view::npos) return pattern == name;
  if (pattern.front() == '*') {
    for (size_t taken = 0; taken <= name.size(); ++taken) {
      if (matches_glob(pattern.substr(1), name.substr(taken))) return true;
      if (taken < name.size() && name[taken] == '/') return false;
    }
    return false;
  }
  return !name.empty() && name.front() == pattern.front() &&
         matches_glob(pattern.substr(1), name.substr(1));
}

Result<> sync_public_tree(const std::string& source, const std::string& destination,
                          const PublicTreeOptions& options) {
  BERTH_CHECK(Sync(options).directory(source, destination, ""));
  for (const std::string& name : options.placeholders) {
    const std::string path = destination + "/" + name;
    std::error_code error;
    fs::create_directories(fs::path(path).parent_path(), error);
    const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) return errno_error("cannot make the file", path);
    ::close(fd);
  }
  return {};
}

PrivatePaths find_private_paths(const std::string& root, int depth) {
  PrivatePaths found;
  if (depth > 0) collect_private(root, depth, found);
  std::ranges::sort(found.files);
  std::ranges::sort(found.directories);
  return found;
}

}  // namespace berth::node
