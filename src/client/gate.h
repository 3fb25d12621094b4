#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace berth::client {

/// Lets callbacks through until it is shut. `shut` waits for a callback that runs on another
/// thread; a callback may shut the gate that it came through.
class Gate {
 public:
  template <class Callback>
  void pass(Callback&& callback) {
    const std::lock_guard lock(mutex_);
    if (open_) std::forward<Callback>(callback)();
  }

  void shut() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }

 private:
  std::recursive_mutex mutex_;
  bool open_ = true;
};

}  // namespace berth::client
