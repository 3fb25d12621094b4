#include "platform/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace berth::platform {
namespace {

ProcessOptions command(std::vector<std::string> argv) {
  ProcessOptions options;
  options.argv = std::move(argv);
  return options;
}

TEST(Process, OutputErrorsAndExitCodeComeBack) {
  const auto result = run_process(command({"sh", "-c", "echo out; echo err >&2; exit 7"}));
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(result->output, "out\n");
  EXPECT_EQ(result->errors, "err\n");
  EXPECT_EQ(result->exit_code, 7);
}

TEST(Process, ASignalIs128PlusItsNumber) {
  EXPECT_EQ(run_process(command({"sh", "-c", "kill -TERM $$"}))->exit_code, 143);
}

TEST(Process, InputIsWrittenAndEnds) {
  ProcessOptions options = command({"cat"});
  options.input = std::string(300'000, 'x');
  EXPECT_EQ(run_process(options)->output, options.input);
}

TEST(Process, AChildThatDoesNotReadItsInputIsNoHarm) {
  ProcessOptions options = command({"true"});
  options.input = std::string(300'000, 'x');
  EXPECT_EQ(run_process(options)->exit_code, 0);
}

TEST(Process, OnlyWhatIsKeptIsInherited) {
  int own[2];
  ASSERT_EQ(::pipe(own), 0);  // without close-on-exec, as Asio opens its sockets
  ProcessOptions options = command({"sh", "-c", "echo kept >&9; ls -l /proc/$$/fd"});
  options.keep = {{own[1], 9}};
  const auto result = run_process(options);
  ::close(own[1]);
  char text[8] = {};
  EXPECT_EQ(::read(own[0], text, sizeof text - 1), 5);
  ::close(own[0]);
  ASSERT_TRUE(result);
  EXPECT_EQ(std::string(text), "kept\n");
  const std::string& listed = result->output;
  const size_t at = listed.find(" 9 -> ") + 6;
  const std::string pipe = listed.substr(at, listed.find('\n', at) - at);
  EXPECT_NE(listed.find(pipe), std::string::npos);
  EXPECT_EQ(listed.find(pipe), listed.rfind(pipe)) << listed;
}

TEST(Process, TheTimeoutKills) {
  ProcessOptions options = command({"sleep", "60"});
  options.timeout = Duration::milliseconds(50);
  const auto result = run_process(options);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->timed_out);
  EXPECT_EQ(result->exit_code, 137);
}

TEST(Process, ADescendantThatKeepsTheOutputOpenIsNotWaitedFor) {
  ProcessOptions options = command({"sh", "-c", "sleep 5 & echo done"});
  options.timeout = Duration::seconds(4);
  const auto result = run_process(options);
  EXPECT_FALSE(result->timed_out);
  EXPECT_EQ(result->output, "done\n");
}

TEST(Process, OutputBeyondTheLimitIsDropped) {
  ProcessOptions options = command({"sh", "-c", "head -c 100000 /dev/zero"});
  options.output_limit = 10;
  EXPECT_EQ(run_process(options)->output.size(), 10u);
}

TEST(Process, TheEnvironmentIsOnlyWhatIsGiven) {
  ProcessOptions options = command({"env"});
  options.env = {"A=1"};
  options.settles = false;  // else what it is known by is added
  EXPECT_EQ(run_process(options)->output, "A=1\n");
}

TEST(Process, AMissingProgramIsNamed) {
  const auto result = run_process(command({"no-such-program"}));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(result.error().where, "no-such-program");
}

TEST(Process, CheckedTurnsAnExitCodeIntoAnErrorWithTheLastLine) {
  const auto result = run_checked(command({"sh", "-c", "echo first >&2; echo last >&2; exit 3"}));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().what, "exit code 3: last");
}

TEST(Process, KeptDescriptorsReachTheChild) {
  auto pipe = make_pipe();
  ASSERT_TRUE(pipe);
  ProcessOptions options = command({"sh", "-c", "echo hi >&5"});
  options.keep = {{pipe->write_end.get(), 5}};
  ASSERT_EQ(run_process(options)->exit_code, 0);
  pipe->write_end.reset();
  char text[8] = {};
  EXPECT_EQ(::read(pipe->read_end.get(), text, sizeof text), 3);
}

TEST(Process, SpawnAndWait) {
  const auto pid = spawn_process(command({"sleep", "60"}));
  ASSERT_TRUE(pid);
  EXPECT_EQ(*wait_process(*pid, Duration::milliseconds(10)), std::nullopt);
  ::kill(*pid, SIGTERM);
  EXPECT_EQ(*wait_process(*pid, Duration::seconds(10)), 143);
}

}  // namespace
}  // namespace berth::platform
