#pragma once

#include <csignal>

namespace berth::app {

/// The signals that `berth serve` listens to, blocked in every thread from here on and taken one by
/// one with `wait`. Made before any thread is. SIGPIPE is ignored: a closed connection is an error
/// of the write, not of the process.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// SIGINT or SIGTERM.
  int wait() const;

 private:
  sigset_t set_;
  sigset_t before_;
};

}  // namespace berth::app
