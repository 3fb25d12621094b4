#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/time.h"

namespace berth::node {

/// Notices when a container has saved its progress: BERTH_CHECKPOINT_FILE in its environment names
/// the file, seen as the container sees it. One thread.
class CheckpointWatch {
 public:
  struct Run {
    const std::string& pod_uid;
    const std::string& container;
    int attempt = 0;
    int pid = 0;         ///< of a process in the container; 0: unknown
    std::string folder;  ///< of the attempt
  };
  /// When the file was last changed, if that was after the last call.
  std::optional<Time> news(const Run& run);
  void forget(const std::string& pod_uid) { known_.erase(pod_uid); }

 private:
  struct Checkpoint {
    int attempt = -1;
    std::string path;  ///< empty: it says none
    std::optional<Time> changed;
  };
  std::map<std::string, std::map<std::string, Checkpoint>> known_;  ///< by pod uid, container
};

}  // namespace berth::node
