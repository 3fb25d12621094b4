#pragma once

#include <csignal>
#include <optional>

#include "base/time.h"

namespace berth::app {

/// The signals that `berth serve` listens to: SIGINT, SIGTERM and SIGHUP, blocked in every thread
/// from here on and taken one by one with `wait`. Made before any thread is. SIGPIPE is ignored: a
/// closed connection is an error of the write, not of the process.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// The next of them, or 0 when `limit` passes before.
  int wait(std::optional<Duration> limit) const;
  /// Who started this wants it to go on when the terminal is closed (`nohup`).
  bool ignores_hangup() const { return ignores_hangup_; }

 private:
  sigset_t set_;
  sigset_t before_;
  bool ignores_hangup_ = false;
};

}  // namespace berth::app
