#include "node/agent/admission.h"

#include <algorithm>

#include <fmt/format.h>

namespace berth::node {

std::optional<Refusal> refuses(const AgentOptions& options, const PodHosts& pods,
                               DeviceLedger& devices, const PodSpec& pod) {
  const auto active = std::count_if(pods.begin(), pods.end(), [](const auto& entry) {
    return !entry.second->machine().record().ended;
  });
  if (active > options.max_pods)
    return Refusal{"OutOfpods",
                   fmt::format("the node runs {} pods, which is its limit", options.max_pods)};
  if ((pod.host_network || pod.host_pid || pod.host_ipc) && !options.allow_host_network)
    return Refusal{"HostNamespacesForbidden",
                   "hostNetwork, hostPID and hostIPC are not allowed on this node; leave them "
                   "out, or start Berth with them allowed"};
  for (const auto* list : {&pod.init_containers, &pod.containers})
    for (const ContainerSpec& c : *list) {
      if (c.privileged && !options.allow_privileged)
        return Refusal{"PrivilegedForbidden",
                       fmt::format("container {} asks to be privileged, which is not allowed on "
                                   "this node",
                                   c.name)};
      for (const auto& [resource, count] : c.extended) {
        const auto given = std::count_if(
            pod.devices.begin(), pod.devices.end(),
            [&, name = resource](const AssignedDevice& d) { return d.resource == name; });
        if (given < count)
          return Refusal{"UnexpectedAdmissionError",
                         fmt::format("container {} asks for {} {}, but the binding names {}: was "
                                     "the pod bound by Berth's scheduler?",
                                     c.name, count, resource, given)};
      }
    }
  // The scheduler gives them on as soon as it sees that a pod has ended: not later than here.
  for (const auto& [uid, host] : pods)
    if (host->machine().record().ended) devices.give_back(uid);
  if (const auto taken = devices.take(pod.uid, pod.devices); !taken)
    return Refusal{"UnexpectedAdmissionError", taken.error().to_string()};
  return std::nullopt;
}

}  // namespace berth::node
