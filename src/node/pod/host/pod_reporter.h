#pragma once

#include <memory>
#include <optional>
#include <string>

#include "client/api_client.h"
#include "node/pod/pod_spec.h"
#include "objects/json.h"
#include "platform/event_loop.h"

namespace berth::node {

/// Tells the API server about one pod: its status, always the newest and one write at a time, and
/// at the end that the object may go. What fails is tried again until the object is another or
/// gone. Lives on the loop's thread.
class PodReporter : public std::enable_shared_from_this<PodReporter> {
 public:
  PodReporter(client::ApiClient& api, platform::EventLoop& loop, const PodSpec& pod);

  void publish(Json status);
  void delete_object();

 private:
  void send();

  client::ApiClient& api_;
  platform::EventLoop& loop_;
  std::string ns_;
  std::string name_;
  std::string uid_;
  Json newest_;
  bool unsent_ = false;
  bool sending_ = false;
};

}  // namespace berth::node
