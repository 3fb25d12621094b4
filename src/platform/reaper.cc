#include "platform/reaper.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include <sys/wait.h>

namespace berth::platform {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kRest{100};

}  // namespace

struct Reaper::State {
  struct Ended {
    pid_t pid = 0;
    Clock::time_point due;
  };

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Ended> ended;  // guarded by mutex, as is the next
  bool stopping = false;
  std::thread thread;

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return stopping || !ended.empty(); });
      if (ended.empty()) return;
      const Ended next = ended.front();
      changed.wait_until(lock, next.due, [this] { return stopping; });
      ended.pop_front();
      lock.unlock();
      int status = 0;
      ::waitpid(next.pid, &status, 0);
      lock.lock();
    }
  }
};

Reaper::Reaper() : state_(std::make_unique<State>()) {}

Reaper::~Reaper() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  if (state_->thread.joinable()) state_->thread.join();
}

void Reaper::later(pid_t pid) {
  const std::lock_guard lock(state_->mutex);
  state_->ended.push_back({pid, Clock::now() + kRest});
  if (!state_->thread.joinable()) state_->thread = std::thread([s = state_.get()] { s->work(); });
  state_->changed.notify_all();
}

}  // namespace berth::platform
