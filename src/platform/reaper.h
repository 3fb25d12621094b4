#pragma once

#include <memory>

#include <sys/types.h>

namespace berth::platform {

/// Takes ended children off the process table, a little after they ended.
///
/// Whoever reaps a child walks what /proc has of it, and as long as the child's last thread is not
/// quite through with its own part of that, the kernel walks again and again. On a busy machine,
/// where that thread has to wait for a CPU, this took a third of all the CPU that Berth needed for
/// a pod's start. A tenth of a second later it costs nothing, and nobody waits for it.
///
/// Any thread. Its own thread begins with the first child.
class Reaper {
 public:
  Reaper();
  /// Reaps what is left.
  ~Reaper();
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  /// `pid` is a child that has ended, and whose exit code nobody else will ask for.
  void later(pid_t pid);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace berth::platform
