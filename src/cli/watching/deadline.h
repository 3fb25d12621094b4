#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/time.h"

namespace berth::cli {

/// Runs `expire` on a thread of its own unless it is destroyed first. A duration of zero or less
/// never expires.
class Deadline {
 public:
  Deadline(Duration after, std::function<void()> expire) {
    if (after.ns <= 0) return;
    thread_ = std::thread([this, after, expire = std::move(expire)] {
      std::unique_lock lock(mutex_);
      const bool met =
          over_.wait_for(lock, std::chrono::nanoseconds(after.ns), [this] { return met_; });
      lock.unlock();
      if (!met) expire();
    });
  }
  ~Deadline() {
    {
      const std::lock_guard lock(mutex_);
      met_ = true;
    }
    over_.notify_one();
    if (thread_.joinable()) thread_.join();
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable over_;
  bool met_ = false;
  std::thread thread_;
};

}  // namespace berth::cli
