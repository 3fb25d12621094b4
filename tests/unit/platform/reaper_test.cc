#include "platform/reaper.h"

#include <cerrno>
#include <optional>

#include <gtest/gtest.h>
#include <signal.h>

#include "platform/process.h"

namespace berth::platform {
namespace {

ProcessOptions shell(const std::string& script) {
  ProcessOptions options;
  options.argv = {"sh", "-c", script};
  return options;
}

bool is_there(pid_t pid) {
  return ::kill(pid, 0) == 0;
}

TEST(Reaper, TheExitCodeComesAtOnceAndTheProcessGoesLater) {
  std::optional<Reaper> reaper(std::in_place);
  const auto pid = spawn_process(shell("exit 7"));
  ASSERT_TRUE(pid);
  EXPECT_EQ(*wait_process(*pid, Duration::seconds(10), &*reaper), 7);
  EXPECT_TRUE(is_there(*pid)) << "this much later nobody waits for it";
  reaper.reset();
  EXPECT_FALSE(is_there(*pid));
  EXPECT_EQ(errno, ESRCH);
}

TEST(Reaper, SignalsAndTimeoutsAreSaidAsWithoutIt) {
  Reaper reaper;
  ProcessOptions killed = shell("kill -TERM $$");
  killed.reaper = &reaper;
  EXPECT_EQ(run_process(killed)->exit_code, 143);
  ProcessOptions slow = shell("exec sleep 100");
  slow.reaper = &reaper;
  slow.timeout = Duration::milliseconds(20);
  const auto result = run_process(slow);
  EXPECT_TRUE(result->timed_out);
  EXPECT_EQ(result->exit_code, 137);
}

}  // namespace
}  // namespace berth::platform
