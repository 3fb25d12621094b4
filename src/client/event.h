#pragma once

#include <string_view>

#include "base/time.h"
#include "objects/json.h"

namespace berth::client {

/// What a Kubernetes Event says, and which part of Berth says it.
struct EventNote {
  std::string_view component;
  std::string_view instance;  ///< the node's name, for its agent
  bool warning = false;
  std::string_view reason;
  std::string_view message;  ///< cut off after 1024 bytes, as Kubernetes allows
};

/// The Event to create. `about` is its involvedObject.
Json event_object(std::string_view ns, std::string_view name, JsonObject about,
                  const EventNote& note, Time now);

}  // namespace berth::client
