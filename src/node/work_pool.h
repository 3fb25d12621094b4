#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace berth::node {

/// A few threads for work that blocks (runc, CNI, probes). Work of one turn starts in the order
/// given.
class WorkPool {
 public:
  explicit WorkPool(size_t threads);
  /// As `stop`.
  ~WorkPool();
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  /// Waits for what runs, drops what has not begun, and ignores what comes later.
  void stop();
  enum class Turn {
    kNext,
    /// What only begins something gives way to what carries on: of many pods that come at once,
    /// the first ones run while the last ones have not begun. It never waits for more than
    /// `kGivesWay` others.
    kBegins,
  };
  static constexpr int kGivesWay = 8;
  /// Any thread.
  void run(std::function<void()> work, Turn turn = Turn::kNext);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace berth::node
