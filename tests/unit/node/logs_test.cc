#include "node/logs.h"

#include <condition_variable>
#include <fstream>
#include <mutex>

#include <gtest/gtest.h>
#include <stdlib.h>

#include "node/files.h"

namespace berth::node {
namespace {

class LogsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/berth-logs-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    path_ = root_ + "/0.log";
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(root_)); }
  void append(const std::string& text) { std::ofstream(path_, std::ios::app) << text; }
  std::string read(const LogQuery& query = {}) {
    return read_log(log_files(path_), query).value_or("error");
  }
  std::string root_;
  std::string path_;
};

constexpr const char* kThree =
    "2026-01-01T00:00:01.5+00:00 stdout F one\n"
    "2026-01-01T00:00:02.5+00:00 stderr F two\n"
    "2026-01-01T00:00:03.5+00:00 stdout F three\n";

TEST_F(LogsTest, TextTailSinceLimitAndTimestamps) {
  append(kThree);
  EXPECT_EQ(read(), "one\ntwo\nthree\n");
  LogQuery tail;
  tail.tail_lines = 2;
  EXPECT_EQ(read(tail), "two\nthree\n");
  tail.tail_lines = 0;
  EXPECT_EQ(read(tail), "");
  tail.tail_lines = 99;
  EXPECT_EQ(read(tail), "one\ntwo\nthree\n");
  LogQuery since;
  since.since = *parse_time("2026-01-01T00:00:02Z");
  EXPECT_EQ(read(since), "two\nthree\n");
  LogQuery limit;
  limit.limit_bytes = 6;
  EXPECT_EQ(read(limit), "one\ntw");
  LogQuery times;
  times.timestamps = true;
  times.tail_lines = 1;
  EXPECT_EQ(read(times), "2026-01-01T00:00:03.5+00:00 three\n");
}

TEST_F(LogsTest, PartialLinesAreJoined) {
  append("2026-01-01T00:00:01Z stdout P ab\n2026-01-01T00:00:01Z stdout F cd\nrubbish\n");
  EXPECT_EQ(read(), "abcd\n");
}

TEST_F(LogsTest, RotationKeepsThreeFilesAndReadsThemInOrder) {
  for (int i = 0; i < 5; ++i) {
    append("2026-01-01T00:00:01Z stdout F line" + std::to_string(i) + "\n");
    EXPECT_TRUE(*rotate_log(path_, 10, 3));
  }
  append("2026-01-01T00:00:01Z stdout F last\n");
  EXPECT_FALSE(*rotate_log(path_, 1000, 3));
  EXPECT_EQ(read(), "line3\nline4\nlast\n");
  LogQuery tail;
  tail.tail_lines = 2;
  EXPECT_EQ(read(tail), "line4\nlast\n");
}

TEST_F(LogsTest, FollowingSeesWhatComesAcrossARotationUntilTheEnd) {
  append(kThree);
  std::mutex mutex;
  std::condition_variable changed;
  std::string seen;
  bool over = false;
  bool ended = false;
  const auto wait_for = [&](const std::string& text) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(10),
                            [&] { return seen.find(text) != std::string::npos; });
  };
  LogQuery query;
  query.tail_lines = 1;
  LogFollower follower(path_, query, true,
                       [&] {
                         const std::lock_guard lock(mutex);
                         return over;
                       },
                       {[&](const std::string& bytes) {
                          const std::lock_guard lock(mutex);
                          seen += bytes;
                          changed.notify_all();
                          return true;
                        },
                        [&](const Result<>& how) {
                          const std::lock_guard lock(mutex);
                          EXPECT_TRUE(how);
                          ended = true;
                          changed.notify_all();
                        }});
  ASSERT_TRUE(wait_for("three"));
  append("2026-01-01T00:00:04Z stdout F four\n");
  ASSERT_TRUE(wait_for("four"));
  ASSERT_TRUE(*rotate_log(path_, 10, 3));
  append("2026-01-01T00:00:05Z stdout F five\n");
  ASSERT_TRUE(wait_for("five"));
  append("2026-01-01T00:00:06Z stdout F six\n");
  std::unique_lock lock(mutex);
  over = true;
  ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(10), [&] { return ended; }));
  EXPECT_EQ(seen, "three\nfour\nfive\nsix\n");
}

TEST_F(LogsTest, AFullReaderIsWaitedForAndCanGo) {
  append(kThree);
  std::mutex mutex;
  std::condition_variable changed;
  int writes = 0;
  LogFollower follower(path_, {}, true, [] { return false; },
                       {[&](const std::string&) {
                          const std::lock_guard lock(mutex);
                          ++writes;
                          changed.notify_all();
                          return false;
                        },
                        [](const Result<>&) {}});
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(10), [&] { return writes == 1; }));
  }
  append("2026-01-01T00:00:04Z stdout F four\n");
  follower.resume();
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(10), [&] { return writes == 2; }));
}

TEST_F(LogsTest, LogsAreFoundByWhatIsOnDisk) {
  const std::string folder = root_ + "/logs/ns_pod_1234/c";
  ASSERT_TRUE(make_directories(folder));
  EXPECT_FALSE(find_log(root_, "1234", "c", false));
  ASSERT_TRUE(write_file_atomically(folder + "/9.log", ""));
  ASSERT_TRUE(write_file_atomically(folder + "/10.log", ""));
  EXPECT_EQ(find_log(root_, "1234", "c", false), folder + "/10.log");
  EXPECT_EQ(find_log(root_, "1234", "c", true), folder + "/9.log");
  EXPECT_FALSE(find_log(root_, "1234", "../c", false));
  EXPECT_FALSE(find_log(root_, "999", "c", false));
}

}  // namespace
}  // namespace berth::node
