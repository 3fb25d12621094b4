#include "platform/event_loop.h"

#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace berth::platform {
namespace {

TEST(EventLoop, RunsPostedWorkInOrder) {
  EventLoop loop;
  std::vector<int> ran;
  for (int i = 0; i < 3; ++i) loop.post([&ran, i] { ran.push_back(i); });
  loop.stop();
  loop.run();
  EXPECT_EQ(ran, (std::vector{0, 1, 2}));
}

TEST(EventLoop, TimersRunByTimeThenByCall) {
  EventLoop loop;
  std::vector<int> ran;
  loop.after(Duration::milliseconds(10), [&] { ran.push_back(3), loop.stop(); });
  loop.after(Duration::milliseconds(1), [&] { ran.push_back(1); });
  loop.after(Duration::milliseconds(2), [&] { ran.push_back(2); });
  loop.run();
  EXPECT_EQ(ran, (std::vector{1, 2, 3}));
}

TEST(EventLoop, CancelledTimerDoesNotRun) {
  EventLoop loop;
  bool ran = false;
  const auto timer = loop.after(Duration::milliseconds(1), [&] { ran = true; });
  loop.cancel(timer);
  loop.after(Duration::milliseconds(5), [&] { loop.stop(); });
  loop.run();
  EXPECT_FALSE(ran);
  loop.cancel(timer);  // once more is harmless
}

TEST(EventLoop, WorkMayPostAndCancel) {
  EventLoop loop;
  int ran = 0;
  loop.post([&] {
    const auto timer = loop.after(Duration::hours(1), [&] { ran += 100; });
    loop.post([&, timer] {
      ++ran;
      loop.cancel(timer);
      loop.stop();
    });
  });
  loop.run();
  EXPECT_EQ(ran, 1);
}

TEST(EventLoop, ManyThreadsPostWithoutLoss) {
  EventLoop loop;
  constexpr int kThreads = 4, kEach = 1000;
  int ran = 0;
  std::vector<std::thread> posters;
  for (int t = 0; t < kThreads; ++t)
    posters.emplace_back([&] {
      for (int i = 0; i < kEach; ++i)
        loop.post([&] {
          EXPECT_TRUE(loop.on_loop_thread());
          if (++ran == kThreads * kEach) loop.stop();
        });
    });
  loop.run();
  for (std::thread& poster : posters) poster.join();
  EXPECT_EQ(ran, kThreads * kEach);
  EXPECT_FALSE(loop.on_loop_thread());
}

TEST(EventLoop, RunsAgainAfterStop) {
  EventLoop loop;
  int ran = 0;
  for (int round = 0; round < 2; ++round) {
    loop.post([&] { ++ran, loop.stop(); });
    loop.run();
  }
  EXPECT_EQ(ran, 2);
}

TEST(EventLoop, WorkThatHoldsItsLoopGoesWhenItIsClosed) {
  auto loop = std::make_shared<EventLoop>();
  const auto hold = [loop] { FAIL(); };
  loop->post(hold);
  loop->after(Duration::hours(1), hold);
  loop->close();
  loop->post(hold);
  EXPECT_EQ(loop.use_count(), 2) << "here, and in what is posted";
}

}  // namespace
}  // namespace berth::platform
