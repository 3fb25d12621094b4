#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace berth::node {

/// A few threads for work that blocks (runc, CNI, probes). Work starts in the order given.
class WorkPool {
 public:
  explicit WorkPool(size_t threads);
  /// Waits for what runs; what has not begun is dropped.
  ~WorkPool();
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  /// Any thread. Ignored once the pool is being destroyed.
  void run(std::function<void()> work);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace berth::node
