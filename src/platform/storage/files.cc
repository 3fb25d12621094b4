#include "platform/storage/files.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace berth::platform {
namespace {

std::unexpected<Error> system_failure(std::string_view doing, const std::filesystem::path& file) {
  const int code = errno;
  return fail(code == ENOENT                    ? ErrorCode::kNotFound
              : code == EACCES || code == EPERM ? ErrorCode::kForbidden
                                                : ErrorCode::kInternal,
              fmt::format("cannot {}: {}", doing, std::generic_category().message(code)),
              file.string());
}

bool write_all(int descriptor, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    content.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return system_failure("read", file);
  std::ostringstream content;
  content << stream.rdbuf();
  return std::move(content).str();
}

Result<> write_file(const std::filesystem::path& file, std::string_view content, mode_t mode) {
  std::string temporary = file.string() + ".XXXXXX";
  const int descriptor = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (descriptor < 0) return system_failure("write", file);
  const bool written =
      ::fchmod(descriptor, mode) == 0 && write_all(descriptor, content) && ::fsync(descriptor) == 0;
  const int code = errno;
  ::close(descriptor);
  errno = code;
  if (!written || ::rename(temporary.c_str(), file.c_str()) != 0) {
    const auto failure = system_failure("write", file);
    ::unlink(temporary.c_str());
    return failure;
  }
  const int folder = ::open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
  return {};
}

Result<> ensure_folder(const std::filesystem::path& folder, mode_t mode) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code) {
    return fail(ErrorCode::kInternal, "cannot make the folder: " + code.message(), folder.string());
  }
  if (::chmod(folder.c_str(), mode) != 0) return system_failure("set the mode", folder);
  return {};
}

Result<FileLock> FileLock::acquire(const std::filesystem::path& file) {
  Fd descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!descriptor.valid()) return system_failure("open the lock", file);
  if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = {};
    const ssize_t size = ::read(descriptor.get(), holder, sizeof holder - 1);
    return fail(ErrorCode::kConflict,
                size > 0 ? fmt::format("in use by process {}", holder) : "in use", file.string());
  }
  const std::string owner = std::to_string(::getpid());
  if (::ftruncate(descriptor.get(), 0) != 0 || !write_all(descriptor.get(), owner))
    return system_failure("write the lock", file);
  return FileLock(std::move(descriptor));
}

}  // namespace berth::platform
