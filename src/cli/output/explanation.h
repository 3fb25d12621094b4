#pragma once

#include <string>
#include <string_view>

#include "objects/json.h"

namespace berth::cli {

struct Explanation {
  std::string heading;  ///< `pod train-0: waiting`
  std::string body;     ///< indented lines; equal for pods that wait for the same
};

/// What the server says of a pod (`/berth/v1/explain/...`), for people.
Explanation explain_pod(const Json& pod, const Json& answer, bool colour);

/// Why a ModelService has the replicas that it has, and what keeps it from more.
Explanation explain_model_service(const Json& service);

/// What a Deployment, ReplicaSet or Job says of itself: how far it is, why it has fewer pods than
/// it is to have, and what would help. `kind`: its singular.
Explanation explain_workload(std::string_view kind, const Json& object);

/// What the server says of a pod in one line, for progress on stderr.
std::string explain_line(const Json& answer);

/// `nvidia.com/gpu gpu-0, gpu-1`: the devices that a pod was given; empty when none.
std::string devices_of(const Json& pod);

}  // namespace berth::cli
