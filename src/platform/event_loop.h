#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/time.h"

namespace berth::platform {

/// A queue of functions that run one at a time, in order, on the thread that calls `run`: how each
/// part with state of its own (control, controllers, node agent) stays free of locks.
///
/// `post`, `after`, `cancel` and `stop` may be called from any thread.
class EventLoop {
 public:
  using Work = std::function<void()>;
  using TimerId = uint64_t;

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void post(Work work);
  /// Runs `work` once, no earlier than `delay` from now. Order among equal times is that of calls.
  TimerId after(Duration delay, Work work);
  /// A timer that already ran, or was cancelled before, is ignored.
  void cancel(TimerId timer);

  /// Runs posted work and timers until `stop`. What was posted before `stop` still runs.
  void run();
  void stop();
  /// Drops what still waits, and from now on all that is posted: work that holds its own loop would
  /// keep both for ever. Nothing may be in `run`.
  void close();
  /// Is the caller on the thread that is in `run`?
  bool on_loop_thread() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace berth::platform
