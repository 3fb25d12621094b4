#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "core/scaling/policies/scaling_policy.h"
#include "core/scaling/serving/online_fit.h"
#include "objects/json.h"

namespace berth::documents {

/// Where gateways send their reports to, at the API server.
inline constexpr std::string_view kDemandPath = "/berth/v1/demand";
/// Of a report of one model and window: more requests are not told one by one.
inline constexpr size_t kMostServed = 32;

/// An answered request, and which server answered it.
struct ServedRequest {
  core::ServedRequest request;
  std::string pod = {};  ///< `namespace/name`; empty: the server is no pod that the gateway knows
};

/// What a gateway saw of one model during a window, or a part of one: reports add up.
struct ModelDemand {
  std::string model;
  /// `concurrency` and `waiting` are sums here: requests times seconds.
  core::ServiceSample sample = {};
  /// Requests wait, and no server is ready.
  bool held = false;
  std::vector<ServedRequest> served = {};
};

/// A gateway tells what it saw at least once a second, of every model that it knows: silence means
/// that nothing is known, not that there is nothing.
struct DemandReport {
  std::string gateway;   ///< another one after each start
  int64_t sequence = 0;  ///< of this gateway; what comes twice counts once
  int64_t second = 0;    ///< the window: since 1970, UTC
  std::vector<ModelDemand> models;
};

Json reports_to_document(const std::vector<DemandReport>& reports);
/// Fails on what no gateway writes.
Result<std::vector<DemandReport>> reports_from_document(const Json& document);

}  // namespace berth::documents
