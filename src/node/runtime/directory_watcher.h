#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"

namespace berth::node {

/// Says which file of a folder was completed (written and closed, or renamed to its name), without
/// polling: inotify, on a thread of its own, on which `on_file` is called. When events were lost
/// (the kernel's queue is bounded) the name is empty: look at the whole folder.
class DirectoryWatcher {
 public:
  using OnFile = std::function<void(std::string name)>;

  static Result<std::unique_ptr<DirectoryWatcher>> start(const std::string& folder, OnFile on_file);
  /// No call starts after this returns.
  ~DirectoryWatcher();

 private:
  struct State;
  explicit DirectoryWatcher(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace berth::node
