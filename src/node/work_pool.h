#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace berth::node {

/// A few threads for work that blocks (runc, CNI, probes). Work starts in the order given.
class WorkPool {
 public:
  explicit WorkPool(size_t threads);
  /// As `stop`.
  ~WorkPool();
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  /// Waits for what runs, drops what has not begun, and ignores what comes later.
  void stop();
  /// Any thread.
  void run(std::function<void()> work);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace berth::node
