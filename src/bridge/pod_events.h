#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "client/api_client.h"

namespace berth::bridge {

/// A pod as writes name it.
struct PodRef {
  std::string ns;
  std::string name;
  std::string uid;
};

/// Writes a Kubernetes Event about a pod, once; a failure is ignored.
void record_event(client::ApiClient& client, const PodRef& pod, bool warning,
                  std::string_view reason, std::string_view message, Time now);

}  // namespace berth::bridge
