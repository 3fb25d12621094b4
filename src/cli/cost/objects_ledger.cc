#include "cli/cost/objects_ledger.h"

#include <algorithm>
#include <map>

#include "base/time.h"
#include "cli/output/amounts.h"
#include "objects/schema.h"

namespace berth::cli {
namespace {

using objects::find_array;
using objects::find_object;
using objects::find_string;

constexpr int64_t kGiB = int64_t{1} << 30;

struct PricedNode {
  std::string model;  ///< of its accelerators; empty where it has none or does not say
  int64_t cpu_milli = 0;
};

std::string priced_name(const std::string& resource, const PricedNode& node,
                        const core::PriceList& prices) {
  const bool device = resource.find('/') != std::string::npos;
  return device && !node.model.empty() && prices.knows(node.model) ? node.model : resource;
}

core::PricedAmounts priced(const Amounts& amounts, const PricedNode& node,
                           const core::PriceList& prices) {
  core::PricedAmounts result;
  for (const auto& [resource, amount] : amounts) {
    const int64_t milli = resource == "memory"
                              ? static_cast<int64_t>(static_cast<double>(amount.units()) * 1000 /
                                                     static_cast<double>(kGiB))
                              : amount.milli();
    result[priced_name(resource, node, prices)] += milli;
  }
  return result;
}

/// A share of a device is asked for by annotation.
void add_share(const Json& pod, const PricedNode& node, const core::PriceList& prices,
               core::PricedAmounts& holds) {
  for (const char* key : {"berth.dev/gpu-fraction", "gpu-fraction"}) {
    const auto share = Quantity::parse(find_string(pod, {"metadata", "annotations", key}));
    if (!share || share->milli() <= 0) continue;
    holds[priced_name("nvidia.com/gpu", node, prices)] += share->milli();
    return;
  }
}

std::optional<Time> time_at(const Json& object, std::initializer_list<std::string_view> path) {
  const auto time = parse_time(find_string(object, path));
  return time ? std::optional(*time) : std::nullopt;
}

std::optional<Time> bound_at(const Json& pod) {
  for (const Json& condition : find_array(pod, {"status", "conditions"}))
    if (find_string(condition, {"type"}) == "PodScheduled" &&
        find_string(condition, {"status"}) == "True")
      if (const auto at = time_at(condition, {"lastTransitionTime"})) return at;
  return time_at(pod, {"status", "startTime"});
}

std::optional<Time> ended_at(const Json& pod) {
  const auto phase = find_string(pod, {"status", "phase"});
  if (phase != "Succeeded" && phase != "Failed") return std::nullopt;
  std::optional<Time> last;
  for (const Json& status : find_array(pod, {"status", "containerStatuses"}))
    if (const auto at = time_at(status, {"state", "terminated", "finishedAt"}))
      last = std::max(last.value_or(*at), *at);
  return last ? last : bound_at(pod);
}

core::CostOwner owner_of(const Json& pod) {
  core::CostOwner owner;
  for (const char* key : {"berth.dev/queue", "kueue.x-k8s.io/queue-name", "kai.scheduler/queue"})
    if (owner.queue.empty()) owner.queue = find_string(pod, {"metadata", "labels", key});
  if (owner.queue.empty()) owner.queue = "default";
  owner.tenant = find_string(pod, {"metadata", "namespace"});
  owner.model = find_string(pod, {"metadata", "labels", "berth.dev/model-service"});
  owner.job = find_string(pod, {"metadata", "name"});
  for (const Json& reference : find_array(pod, {"metadata", "ownerReferences"}))
    if (objects::find_bool(reference, {"controller"})) owner.job = find_string(reference, {"name"});
  return owner;
}

}  // namespace

core::CostLedger ledger_of(const std::vector<Json>& nodes, const std::vector<Json>& pods,
                           const core::PriceList& prices) {
  core::CostLedger ledger;
  std::map<std::string, PricedNode, std::less<>> by_name;
  for (const Json& node : nodes) {
    const Amounts capacity = read_amounts(find_object(node, {"status", "capacity"}));
    PricedNode& priced_node = by_name[std::string(objects::name_of(node))];
    priced_node.model =
        find_string(node, {"metadata", "labels", "nvidia.com/gpu.product"},
                    find_string(node, {"metadata", "labels", "berth.dev/accelerator-model"}));
    if (const auto cpu = capacity.find("cpu"); cpu != capacity.end())
      priced_node.cpu_milli = cpu->second.milli();
    core::PricedAmounts amounts = priced(capacity, priced_node, prices);
    amounts[core::kNodeHour] = 1000;
    if (const auto since = time_at(node, {"metadata", "creationTimestamp"}))
      ledger.on_node(std::string(objects::name_of(node)), amounts, *since);
  }
  for (const Json& pod : pods) {
    const auto node = by_name.find(find_string(pod, {"spec", "nodeName"}));
    const auto start = bound_at(pod);
    if (node == by_name.end() || !start) continue;
    const Amounts requests = pod_requests(pod);
    core::CostInterval interval{
        .pod_uid = std::string(find_string(pod, {"metadata", "uid"})),
        .start = *start,
        .end = ended_at(pod),
        .node = node->first,
        .owner = owner_of(pod),
        .overhead = find_string(pod, {"metadata", "namespace"}) == "kube-system",
        .holds = priced(requests, node->second, prices)};
    add_share(pod, node->second, prices, interval.holds);
    const auto cpu = requests.find("cpu");
    if (cpu != requests.end() && node->second.cpu_milli > 0)
      interval.holds[core::kNodeHour] = cpu->second.milli() * 1000 / node->second.cpu_milli;
    ledger.on_start(interval);
  }
  return ledger;
}

}  // namespace berth::cli
