#include "node/work_pool.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace berth::node {

struct WorkPool::State {
  std::mutex mutex;
  std::condition_variable changed;
  // Guarded by mutex.
  std::deque<std::function<void()>> next;
  std::deque<std::function<void()>> begins;
  int gave_way = 0;
  bool stopping = false;

  std::vector<std::thread> threads;

  /// With the mutex held and something there.
  std::function<void()> take() {
    const bool begin = next.empty() || (!begins.empty() && gave_way >= kGivesWay);
    gave_way = begin || begins.empty() ? 0 : gave_way + 1;
    auto& from = begin ? begins : next;
    auto work = std::move(from.front());
    from.pop_front();
    return work;
  }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return stopping || !next.empty() || !begins.empty(); });
      if (stopping) return;
      auto work = take();
      lock.unlock();
      work();
      work = nullptr;
      lock.lock();
    }
  }
};

WorkPool::WorkPool(size_t threads) : state_(std::make_unique<State>()) {
  for (size_t i = 0; i < threads; ++i)
    state_->threads.emplace_back([s = state_.get()] { s->work(); });
}

WorkPool::~WorkPool() {
  stop();
}

void WorkPool::stop() {
  std::deque<std::function<void()>> dropped;
  std::deque<std::function<void()>> dropped_begins;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    dropped.swap(state_->next);
    dropped_begins.swap(state_->begins);
  }
  state_->changed.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
  state_->threads.clear();
}

void WorkPool::run(std::function<void()> work, Turn turn) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping) return;
    (turn == Turn::kBegins ? state_->begins : state_->next).push_back(std::move(work));
  }
  state_->changed.notify_one();
}

}  // namespace berth::node
