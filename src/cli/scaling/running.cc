#include "cli/scaling/running.h"

#include <algorithm>

#include "cli/output/amounts.h"
#include "core/cost/price_list.h"
#include "documents/container_size.h"
#include "objects/schema.h"

namespace berth::cli {
namespace {

using objects::find_array;
using objects::find_int;
using objects::find_object;
using objects::find_string;
using objects::name_of;
using objects::namespace_of;

struct Owner {
  std::string kind, name;
};

/// What controls an object; nothing where nothing does.
Owner controller_of(const Json& object) {
  for (const Json& owner : find_array(object, {"metadata", "ownerReferences"}))
    if (const Json* controls = objects::find(owner, {"controller"});
        controls != nullptr && controls->is_bool() && controls->get_bool())
      return {std::string(find_string(owner, {"kind"})), std::string(find_string(owner, {"name"}))};
  return {};
}

/// The topmost one that is known.
Owner owner_of(const Json& pod, const Surroundings& surroundings) {
  Owner owner = controller_of(pod);
  if (owner.name.empty()) return {"Pod", std::string(name_of(pod))};
  for (const auto& [kind, list] : {std::pair("ReplicaSet", &surroundings.replica_sets),
                                   std::pair("Deployment", &surroundings.deployments)}) {
    if (owner.kind != kind) continue;
    const auto found = std::ranges::find_if(*list, [&](const Json& each) {
      return name_of(each) == owner.name && namespace_of(each) == namespace_of(pod);
    });
    if (found == list->end()) continue;
    if (Owner above = controller_of(*found); !above.name.empty()) owner = std::move(above);
  }
  return owner;
}

bool runs(const Json& pod) {
  return find_string(pod, {"status", "phase"}) == "Running" &&
         objects::find(pod, {"metadata", "deletionTimestamp"}) == nullptr;
}

/// Of a core and a GiB on the pod's node, of whose own price a pod bears its share of the CPU.
core::SizePrices prices_for(const Json& pod, const Surroundings& surroundings) {
  const Json& prices = surroundings.prices;
  core::SizePrices result{{find_int(prices, {"cpu"})}, {find_int(prices, {"memory"})}};
  const int64_t node_hour = find_int(prices, {core::kNodeHour});
  for (const Json& node : surroundings.nodes) {
    if (name_of(node) != find_string(pod, {"spec", "nodeName"})) continue;
    const int64_t milli = documents::size_of(find_object(node, {"status", "capacity"})).cpu_milli;
    if (milli > 0) result.core.micro += node_hour * 1000 / milli;
  }
  return result;
}

void add_container(RunningWorkload& workload, const Json& container) {
  const core::ContainerSize request =
      documents::size_of(find_object(container, {"resources", "requests"}));
  for (const auto& [resource, amount] :
       read_amounts(find_object(container, {"resources", "requests"})))
    if (resource.find('/') != std::string::npos && amount.milli() > 0) workload.has_devices = true;
  const std::string name(find_string(container, {"name"}));
  auto known = std::ranges::find(workload.containers, name, &RunningContainer::name);
  if (known == workload.containers.end()) {
    workload.containers.push_back({.name = name,
                                   .request = {},
                                   .limit = {},
                                   .size = {},
                                   .cpu_saves = {},
                                   .memory_saves = {}});
    known = workload.containers.end() - 1;
  } else if (request.cpu_milli <= known->request.cpu_milli &&
             request.memory_bytes <= known->request.memory_bytes) {
    return;
  }
  known->request = request;
  known->limit = documents::size_of(find_object(container, {"resources", "limits"}));
}

/// What a change of a resource saves in one pod, where it asks for `size`.
void add_savings(RunningWorkload& workload, const Json& pod, const core::SizePrices& prices) {
  for (const Json& json : find_array(pod, {"spec", "containers"})) {
    const auto container = std::ranges::find(workload.containers, find_string(json, {"name"}),
                                             &RunningContainer::name);
    const core::ContainerSize has =
        documents::size_of(find_object(json, {"resources", "requests"}));
    const core::ContainerSize then = container->size.size();
    const auto cost = [&](int64_t milli, int64_t bytes) {
      return core::cost_per_hour({milli, bytes}, prices);
    };
    const Money cpu = cost(has.cpu_milli, 0) - cost(then.cpu_milli, 0);
    const Money memory = cost(0, has.memory_bytes) - cost(0, then.memory_bytes);
    container->cpu_saves = container->cpu_saves + cpu;
    container->memory_saves = container->memory_saves + memory;
    workload.saves = workload.saves + cpu + memory;
    workload.stop_saves = workload.stop_saves + core::cost_per_hour(has, prices);
  }
}

}  // namespace

void UsageHistory::take(const std::vector<Json>& pod_metrics) {
  for (const Json& pod : pod_metrics) {
    const auto at = parse_time(find_string(pod, {"timestamp"}));
    const auto window = parse_duration(find_string(pod, {"window"}));
    if (!at || !window) continue;
    for (const Json& container : find_array(pod, {"containers"})) {
      const core::ContainerSize used = documents::size_of(find_object(container, {"usage"}));
      samples_[{std::string(namespace_of(pod)), std::string(name_of(pod)),
                std::string(find_string(container, {"name"}))}]
          .try_emplace(*at, core::SizeSample{*at, *window, used.cpu_milli, used.memory_bytes});
    }
  }
}

std::vector<core::SizeSample> UsageHistory::of(const std::string& ns, const std::string& pod,
                                               const std::string& container) const {
  std::vector<core::SizeSample> result;
  const auto found = samples_.find({ns, pod, container});
  if (found == samples_.end()) return result;
  for (const auto& [at, sample] : found->second) result.push_back(sample);
  return result;
}

size_t UsageHistory::samples() const {
  size_t count = 0;
  for (const auto& [container, samples] : samples_) count += samples.size();
  return count;
}

bool RunningWorkload::changes() const {
  return std::ranges::any_of(containers, &RunningContainer::changes);
}

std::vector<RunningWorkload> right_size(const Surroundings& surroundings,
                                        const UsageHistory& history,
                                        const core::RightSizeRule& rule) {
  std::map<std::tuple<std::string, std::string, std::string>, RunningWorkload> workloads;
  for (const Json& pod : surroundings.pods) {
    if (!runs(pod)) continue;
    const Owner owner = owner_of(pod, surroundings);
    const std::string ns(namespace_of(pod));
    RunningWorkload& workload = workloads[{ns, owner.kind, owner.name}];
    workload.ns = ns;
    workload.kind = owner.kind;
    workload.name = owner.name;
    workload.pods.push_back(pod);
    for (const Json& container : find_array(pod, {"spec", "containers"}))
      add_container(workload, container);
  }
  std::vector<RunningWorkload> result;
  for (auto& [key, workload] : workloads) {
    for (RunningContainer& container : workload.containers) {
      std::vector<core::SizeSample> samples;
      for (const Json& pod : workload.pods)
        std::ranges::copy(history.of(workload.ns, std::string(name_of(pod)), container.name),
                          std::back_inserter(samples));
      container.size = core::right_size(samples, container.request, rule);
    }
    for (const Json& pod : workload.pods) add_savings(workload, pod, prices_for(pod, surroundings));
    // Whether devices are busy is not told pod by pod.
    workload.idle = !workload.has_devices &&
                    std::ranges::all_of(workload.containers, [](const RunningContainer& each) {
                      return each.size.idle;
                    });
    result.push_back(std::move(workload));
  }
  return result;
}

JsonArray advised_containers(const RunningWorkload& workload) {
  JsonArray containers;
  for (const RunningContainer& container : workload.containers) {
    if (!container.changes()) continue;
    containers.push_back(JsonObject{
        {"name", container.name},
        {"resources",
         documents::resized(container.request, container.limit, container.size.size())}});
  }
  return containers;
}

}  // namespace berth::cli
