#pragma once

#include <string>
#include <string_view>

#include "node/pod/machine/pod_record.h"
#include "node/pod/pod_spec.h"
#include "objects/json.h"

namespace berth::node {

/// Pending, Running, Succeeded or Failed, by the kubelet's rules.
std::string_view pod_phase(const PodSpec& pod, const PodState& record);

/// The pod's `status` as the kubelet writes it, without the conditions of others (PodScheduled).
/// Updates the times of the conditions in `record`.
Json pod_status(const PodSpec& pod, PodState& record, const std::string& host_ip, Time now);

/// May this container run again after it ended so?
bool restarts(const PodSpec& pod, const ContainerSpec& container, const Termination& ended);

}  // namespace berth::node
