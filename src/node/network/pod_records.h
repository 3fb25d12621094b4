#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "node/network/cni.h"

namespace berth::node {

/// What must be known of a pod's network to undo it, whatever happened since.
struct PodRecord {
  std::string pod_uid;
  std::string netns_path;
  CniConfig config;
  CniAttachment attachment;
  Json result;  ///< null until the attachment is complete
  std::vector<std::string> ips;
};

/// The records on disk, one file a pod: written before anything is made for the pod, removed after
/// everything is gone. Thread-safe for different pods.
class PodRecords {
 public:
  explicit PodRecords(std::string directory) : directory_(std::move(directory)) {}

  /// Nothing when there is none, or when a crash left it unreadable.
  std::optional<PodRecord> read(const std::string& pod_uid) const;
  Result<> write(const PodRecord& record) const;
  Result<> remove(const std::string& pod_uid) const;
  std::vector<std::string> list() const;
  std::string path(const std::string& pod_uid) const;

 private:
  const std::string directory_;
};

}  // namespace berth::node
