#include "platform/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "platform/deadline.h"
#include "platform/orphans.h"

namespace berth::platform {
namespace {

constexpr const char* kPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::unexpected<Error> system_error(std::string_view what, int number) {
  return fail(ErrorCode::kInternal, fmt::format("{}: {}", what, std::strerror(number)));
}

Fd open_pidfd(pid_t pid) {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

/// Of a child that has ended; -1 when there is no such child. It is reaped, now or later.
int exit_code_of(pid_t pid, Reaper* reaper) {
  siginfo_t info{};
  const int keep = reaper != nullptr ? WNOWAIT : 0;
  if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | keep) != 0) return -1;
  if (reaper != nullptr) reaper->later(pid);
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

struct Standard {
  int in = -1;
  int out = -1;
  int err = -1;
};

/// Asio's sockets are not closed on exec: a child that outlives its parent would hold its port and
/// its connections.
void close_all_but(const std::vector<std::pair<int, int>>& keep,
                   posix_spawn_file_actions_t& actions) {
  std::set<int> kept;
  for (const auto& [fd, target] : keep) kept.insert(target);
  int next = 3;
  for (const int target : kept) {
    for (; next < target; ++next) posix_spawn_file_actions_addclose(&actions, next);
    next = std::max(next, target + 1);
  }
  posix_spawn_file_actions_addclosefrom_np(&actions, next);
}

/// posix_spawn with what a child must not inherit put right: descriptors, signal mask and
/// dispositions.
Result<pid_t> spawn(const ProcessOptions& options, Standard standard, const std::string& mark) {
  if (options.argv.empty()) return fail(ErrorCode::kInternal, "no program to run");
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  const std::array<std::pair<int, int>, 3> streams = {
      {{standard.in, 0}, {standard.out, 1}, {standard.err, 2}}};
  for (const auto& [fd, target] : streams) {
    if (fd >= 0)
      posix_spawn_file_actions_adddup2(&actions, fd, target);
    else
      posix_spawn_file_actions_addopen(&actions, target, "/dev/null",
                                       target == 0 ? O_RDONLY : O_WRONLY, 0);
  }
  for (const auto& [fd, target] : options.keep)
    posix_spawn_file_actions_adddup2(&actions, fd, target);
  close_all_but(options.keep, actions);
  if (!options.directory.empty())
    posix_spawn_file_actions_addchdir_np(&actions, options.directory.c_str());

  const auto argv = pointers(options.argv);
  std::vector<std::string> environment = options.env;
  if (!mark.empty()) environment.push_back(mark);
  const auto env = pointers(environment);
  const std::string program = options.argv[0].find('/') == std::string::npos
                                  ? find_program(options.argv[0])
                                  : options.argv[0];
  pid_t pid = -1;
  const int status = program.empty() ? ENOENT
                                     : posix_spawn(&pid, program.c_str(), &actions, &attributes,
                                                   argv.data(), env.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (status == ENOENT)
    return fail(ErrorCode::kNotFound, "no such program, or no such directory to run it in",
                options.argv[0]);
  if (status != 0) return system_error(fmt::format("cannot start {}", options.argv[0]), status);
  return pid;
}

/// Reads what is there; false at the end of the stream.
bool drain(int fd, std::string& into, size_t limit) {
  std::array<char, 16384> buffer;
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n == 0) return false;
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    const size_t room = limit > into.size() ? limit - into.size() : 0;
    into.append(buffer.data(), std::min(room, static_cast<size_t>(n)));
  }
}

void set_nonblocking(const Fd& fd) {
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

}  // namespace

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("cannot make a pipe", errno);
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

std::vector<std::string> ProcessOptions::minimal_environment() {
  return {fmt::format("PATH={}", kPath), "HOME=/root", "LANG=C.UTF-8"};
}

Result<pid_t> spawn_process(const ProcessOptions& options) {
  return spawn(options, {}, {});
}

Result<std::optional<int>> wait_process(pid_t pid, Duration timeout, Reaper* reaper) {
  const Fd pidfd = open_pidfd(pid);
  if (!pidfd.valid()) return system_error(fmt::format("no process {}", pid), errno);
  const Deadline deadline(timeout);
  for (;;) {
    pollfd ready{pidfd.get(), POLLIN, 0};
    const int n = ::poll(&ready, 1, deadline.milliseconds_left());
    if (n < 0 && errno != EINTR) return system_error("poll", errno);
    if (n > 0) break;
    if (n == 0 && deadline.passed()) return std::nullopt;
  }
  const int code = exit_code_of(pid, reaper);
  if (code < 0) return system_error(fmt::format("process {} is no child", pid), errno);
  return code;
}

Result<ProcessResult> run_process(const ProcessOptions& options) {
  BERTH_TRY(Pipe out, make_pipe());
  BERTH_TRY(Pipe err, make_pipe());
  Pipe in;
  if (!options.input.empty()) {
    BERTH_TRY(in, make_pipe());
  }
  BERTH_TRY(const pid_t pid,
            spawn(options, {in.read_end.get(), out.write_end.get(), err.write_end.get()},
                  options.settles ? caller_mark() : std::string()));
  in.read_end.reset();
  out.write_end.reset();
  err.write_end.reset();
  for (const Fd* fd : {&in.write_end, &out.read_end, &err.read_end})
    if (fd->valid()) set_nonblocking(*fd);

  const Fd pidfd = open_pidfd(pid);
  const Deadline deadline(options.timeout);
  ProcessResult result;
  size_t written = 0;
  bool exited = false;
  while (!exited) {
    std::array<pollfd, 4> wait = {
        pollfd{pidfd.get(), POLLIN, 0}, pollfd{out.read_end.get(), POLLIN, 0},
        pollfd{err.read_end.get(), POLLIN, 0}, pollfd{in.write_end.get(), POLLOUT, 0}};
    const int n = ::poll(wait.data(), wait.size(), deadline.milliseconds_left());
    if (n <= 0 && deadline.passed() && !result.timed_out) {
      result.timed_out = true;
      ::kill(pid, SIGKILL);
      result.exit_code = exit_code_of(pid, options.reaper);
      break;
    }
    exited = (wait[0].revents & POLLIN) != 0;
    if (wait[1].revents != 0 && !drain(out.read_end.get(), result.output, options.output_limit))
      out.read_end.reset();
    if (wait[2].revents != 0 && !drain(err.read_end.get(), result.errors, options.output_limit))
      err.read_end.reset();
    if (wait[3].revents != 0) {
      // A child that stops reading must not kill Berth: the write end is a pipe, so SIGPIPE is
      // blocked for this one call.
      sigset_t pipe_signal;
      sigset_t before;
      sigemptyset(&pipe_signal);
      sigaddset(&pipe_signal, SIGPIPE);
      pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
      const ssize_t sent = ::write(in.write_end.get(), options.input.data() + written,
                                   options.input.size() - written);
      if (sent < 0 && errno == EPIPE) {
        const timespec now{0, 0};
        sigtimedwait(&pipe_signal, nullptr, &now);
      }
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      if (sent > 0) written += static_cast<size_t>(sent);
      if ((sent < 0 && errno != EAGAIN && errno != EINTR) || written == options.input.size())
        in.write_end.reset();
    }
  }
  if (out.read_end.valid()) drain(out.read_end.get(), result.output, options.output_limit);
  if (err.read_end.valid()) drain(err.read_end.get(), result.errors, options.output_limit);
  if (exited) result.exit_code = exit_code_of(pid, options.reaper);
  return result;
}

Result<ProcessResult> run_checked(const ProcessOptions& options) {
  BERTH_TRY(ProcessResult result, run_process(options));
  if (!result.timed_out && result.exit_code == 0) return result;
  if (result.timed_out)
    return fail(ErrorCode::kTimeout,
                fmt::format("no end within {}", format_duration(options.timeout)), options.argv[0]);
  const auto lines = split(trim(result.errors.empty() ? result.output : result.errors), '\n');
  return fail(ErrorCode::kInternal, fmt::format("exit code {}: {}", result.exit_code, lines.back()),
              options.argv[0]);
}

std::string find_program(const std::string& name) {
  for (const std::string_view directory : split(kPath, ':')) {
    std::string path = fmt::format("{}/{}", directory, name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

}  // namespace berth::platform
