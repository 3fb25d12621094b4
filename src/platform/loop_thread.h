#pragma once

#include <mutex>
#include <thread>
#include <utility>

#include "platform/event_loop.h"

namespace berth::platform {

/// An `EventLoop` on a thread of its own. Any thread may call any member; `stop` not from the
/// loop's.
class LoopThread {
 public:
  LoopThread() = default;
  ~LoopThread() { stop(); }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  /// Once. `begin` and `end` run on the thread, before and after everything else: what belongs to
  /// the thread is made and dropped there.
  void start(EventLoop::Work begin = [] {}, EventLoop::Work end = [] {}) {
    thread_ = std::thread([this, begin = std::move(begin), end = std::move(end)] {
      begin();
      loop_.run();
      end();
    });
  }

  /// Did the loop take it? After `stop` it does not, and the work never runs.
  bool post(EventLoop::Work work) {
    const std::lock_guard lock(mutex_);
    if (stopped_) return false;
    loop_.post(std::move(work));
    return true;
  }

  /// Waits until what was posted has run and the thread has ended.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    loop_.stop();
    if (thread_.joinable()) thread_.join();
  }

  EventLoop& loop() { return loop_; }

 private:
  EventLoop loop_;
  std::mutex mutex_;
  bool stopped_ = false;  // by mutex_
  std::thread thread_;
};

}  // namespace berth::platform
