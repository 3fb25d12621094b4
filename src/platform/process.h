#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/error.h"
#include "base/time.h"
#include "platform/reaper.h"

namespace berth::platform {

/// A file descriptor that closes itself.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

/// Both ends close on exec.
struct Pipe {
  Fd read_end;
  Fd write_end;
};
Result<Pipe> make_pipe();

/// What to run. There is no shell: `argv[0]` is looked up in PATH, the rest is passed as it is.
struct ProcessOptions {
  std::vector<std::string> argv;
  /// NAME=VALUE, the whole environment of the child (but for `settles`): nothing of Berth's leaks.
  std::vector<std::string> env = minimal_environment();
  std::string directory;                  ///< empty: Berth's own
  std::string input;                      ///< written to its standard input, which then ends
  std::vector<std::pair<int, int>> keep;  ///< (own descriptor, its number in the child)
  Duration timeout = Duration::seconds(60);
  size_t output_limit = 1 << 20;  ///< of each stream; what is beyond is dropped
  /// `run_process` only: `settle_orphans` of the next Berth waits for it when this one is killed.
  /// False for what may take as long as it likes and changes nothing of Berth's.
  bool settles = true;
  Reaper* reaper = nullptr;  ///< for programs that run often; outlives the call. May be null

  /// PATH (the usual directories), HOME and LANG.
  static std::vector<std::string> minimal_environment();
};

struct ProcessResult {
  int exit_code = 0;  ///< 128 + n when signal n ended it
  bool timed_out = false;
  std::string output;  ///< standard output
  std::string errors;  ///< standard error
};

/// Runs a process to its end, or kills it at the timeout. A descendant that keeps the output open
/// is not waited for. Any thread.
Result<ProcessResult> run_process(const ProcessOptions& options);

/// The same, where any exit code but 0 and a timeout are errors that name the program and carry the
/// last line of its standard error.
Result<ProcessResult> run_checked(const ProcessOptions& options);

/// Starts a process whose standard streams are /dev/null, except those in `keep`; `input`,
/// `timeout` and `output_limit` do not count. The caller reaps it with `wait_process`.
Result<pid_t> spawn_process(const ProcessOptions& options);

/// Waits for a child and reaps it (`reaper` does, where there is one); its exit code, or nothing
/// when it is still there at the timeout.
Result<std::optional<int>> wait_process(pid_t pid, Duration timeout, Reaper* reaper = nullptr);

/// Is there an executable of this name in the usual directories? Its path, or an empty string.
std::string find_program(const std::string& name);

}  // namespace berth::platform
