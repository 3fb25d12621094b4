#include "platform/orphans.h"

#include <string>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/process.h"

namespace berth::platform {
namespace {

/// Another process that runs `script` as Berth would, and is killed as soon as that has begun.
/// Returns when it is gone; what the script does goes on. `$1` is a pipe to write to.
class KilledCaller {
 public:
  explicit KilledCaller(const std::string& script, bool settles = true) {
    EXPECT_EQ(::pipe(pipe_), 0);
    const pid_t caller = ::fork();
    if (caller == 0) {
      ProcessOptions options;
      options.argv = {"sh", "-c", "echo begun >&9;" + script};
      options.keep = {{pipe_[1], 9}};
      options.settles = settles;
      (void)run_process(options);
      ::_exit(0);
    }
    EXPECT_EQ(read(6), "begun\n");
    ::kill(caller, SIGKILL);
    ::waitpid(caller, nullptr, 0);
    ::close(pipe_[1]);
  }
  ~KilledCaller() { ::close(pipe_[0]); }
  /// What the script wrote, at most `most` bytes; waits until there is some or it has ended.
  std::string read(size_t most) {
    std::string text(most, ' ');
    const ssize_t n = ::read(pipe_[0], text.data(), most);
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return text;
  }

 private:
  int pipe_[2] = {};
};

TEST(Orphans, AreWaitedFor) {
  KilledCaller caller("sleep 0.3; echo done >&9");
  EXPECT_GE(settle_orphans(Duration::seconds(20)), 1);
  EXPECT_EQ(caller.read(5), "done\n");
  EXPECT_EQ(settle_orphans(Duration::seconds(20)), 0);
}

TEST(Orphans, WhatDoesNotEndIsKilled) {
  KilledCaller caller("sleep 100; echo done >&9");
  EXPECT_GE(settle_orphans(Duration::milliseconds(50)), 1);
  EXPECT_EQ(caller.read(5), "");
}

TEST(Orphans, WhatChangesNothingIsLeftAlone) {
  KilledCaller caller("read never; echo done >&9", /*settles=*/false);
  EXPECT_EQ(settle_orphans(Duration{}), 0);
}

TEST(Orphans, WhatACallerThatLivesRunsIsNone) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  ProcessOptions options;
  options.argv = {"sh", "-c", "echo here >&9; sleep 100"};
  options.env.push_back(caller_mark());
  options.keep = {{pipe[1], 9}};
  const auto pid = spawn_process(options);
  ASSERT_TRUE(pid);
  char text[8];
  ASSERT_EQ(::read(pipe[0], text, 5), 5);
  EXPECT_EQ(settle_orphans(Duration{}), 0);
  EXPECT_EQ(::kill(*pid, SIGKILL), 0);
  EXPECT_TRUE(wait_process(*pid, Duration::seconds(10)));
  ::close(pipe[0]);
  ::close(pipe[1]);
}

}  // namespace
}  // namespace berth::platform
