#include "platform/event_loop.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

namespace berth::platform {

struct EventLoop::State {
  using SteadyTime = std::chrono::steady_clock::time_point;
  using TimerKey = std::pair<SteadyTime, TimerId>;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Work> queue;
  std::map<TimerKey, Work> timers;
  std::unordered_map<TimerId, SteadyTime> due;
  TimerId last_timer = 0;
  bool stopping = false;
  bool closed = false;
  std::thread::id runner;

  // Needs `mutex`.
  void take_due_timers() {
    const SteadyTime now = std::chrono::steady_clock::now();
    while (!timers.empty() && timers.begin()->first.first <= now) {
      auto timer = timers.extract(timers.begin());
      due.erase(timer.key().second);
      queue.push_back(std::move(timer.mapped()));
    }
  }
};

EventLoop::EventLoop() : state_(std::make_unique<State>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::post(Work work) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->closed) return;
    state_->queue.push_back(std::move(work));
  }
  state_->changed.notify_one();
}

EventLoop::TimerId EventLoop::after(Duration delay, Work work) {
  TimerId timer = 0;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->closed) return 0;
    timer = ++state_->last_timer;
    const auto at = std::chrono::steady_clock::now() + std::chrono::nanoseconds(delay.ns);
    state_->timers.emplace(std::pair(at, timer), std::move(work));
    state_->due.emplace(timer, at);
  }
  state_->changed.notify_one();
  return timer;
}

void EventLoop::cancel(TimerId timer) {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->due.find(timer);
  if (found == state_->due.end()) return;
  state_->timers.erase({found->second, timer});
  state_->due.erase(found);
}

void EventLoop::run() {
  std::unique_lock lock(state_->mutex);
  state_->runner = std::this_thread::get_id();
  for (;;) {
    state_->take_due_timers();
    if (!state_->queue.empty()) {
      Work work = std::move(state_->queue.front());
      state_->queue.pop_front();
      lock.unlock();
      work();
      work = nullptr;  // what it holds may post when it goes
      lock.lock();
    } else if (state_->stopping) {
      break;
    } else if (state_->timers.empty()) {
      state_->changed.wait(lock);
    } else {
      const auto next = state_->timers.begin()->first.first;
      state_->changed.wait_until(lock, next);
    }
  }
  state_->stopping = false;
  state_->runner = {};
}

void EventLoop::stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_one();
}

void EventLoop::close() {
  // What goes may post as it goes, so it goes without the lock.
  decltype(state_->queue) queue;
  decltype(state_->timers) timers;
  const std::lock_guard lock(state_->mutex);
  state_->closed = true;
  state_->due.clear();
  queue.swap(state_->queue);
  timers.swap(state_->timers);
}

bool EventLoop::on_loop_thread() const {
  const std::lock_guard lock(state_->mutex);
  return state_->runner == std::this_thread::get_id();
}

}  // namespace berth::platform
