#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <sys/types.h>

#include "base/error.h"
#include "platform/process.h"

namespace berth::platform {

Result<std::string> read_file(const std::filesystem::path& file);

/// Replaces the file in one step, durably, with this mode from the first instant: a reader or a
/// crash sees the old content or the new one.
Result<> write_file(const std::filesystem::path& file, std::string_view content, mode_t mode);

/// Makes the folder with this mode; one that is there keeps its content and gets the mode.
Result<> ensure_folder(const std::filesystem::path& folder, mode_t mode);

/// Holds a file locked as long as it lives; the kernel lets go when the process ends, however.
class FileLock {
 public:
  /// kConflict when another process (or another lock of this one) holds it, naming its process id.
  static Result<FileLock> acquire(const std::filesystem::path& file);

 private:
  explicit FileLock(Fd file) : file_(std::move(file)) {}
  Fd file_;
};

}  // namespace berth::platform
