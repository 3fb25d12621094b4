#pragma once

#include <deque>
#include <string>
#include <unordered_map>

#include "base/time.h"
#include "client/api_client.h"
#include "objects/json.h"

namespace berth::node {

/// Writes Kubernetes Events about pods and the node. Equal events become one with a count, and each
/// object gets a burst and then a trickle: a crash loop cannot flood the API server. One thread.
class EventRecorder {
 public:
  EventRecorder(client::ApiClient& api, const Clock& clock, std::string node_name);

  struct About {
    std::string kind = "Pod";
    std::string ns;
    std::string name;
    std::string uid;
    std::string container;  ///< becomes a fieldPath
  };
  void record(const About& about, bool warning, const std::string& reason,
              const std::string& message);

 private:
  struct Known {
    std::string name;
    int count = 1;
    Time first;
    Time sent;
  };
  struct Bucket {
    double tokens = 0;
    Time filled;
  };
  bool allowed(const std::string& uid, Time now);

  client::ApiClient& api_;
  const Clock& clock_;
  std::string node_name_;
  std::unordered_map<std::string, Known> known_;
  std::deque<std::string> order_;  ///< of known_, to forget the oldest
  std::unordered_map<std::string, Bucket> buckets_;
  uint64_t sequence_ = 0;
};

}  // namespace berth::node
