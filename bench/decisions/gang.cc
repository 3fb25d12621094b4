#include <algorithm>

#include "bench/decisions/measure.h"

namespace berth::bench {
namespace {

using namespace core;  // NOLINT: the cases speak the core's terms

constexpr int kNodes = 10'000;
constexpr int kNodesPerRack = 400;
constexpr int kDevices = 8;
constexpr int kMembers = 1000;
/// 5% of all devices are free. In one rack those of 140 nodes, which is room for the gang; in ten
/// others one on each of 288 nodes: more nodes with room, and not enough of it.
constexpr int kTheRack = 17;
constexpr int kEmptyNodes = 140;
constexpr int kDeceptiveNodes = 288;

int free_devices(int node) {
  const int rack = node / kNodesPerRack;
  const int place = node % kNodesPerRack;
  if (rack == kTheRack) return place < kEmptyNodes ? kDevices : 0;
  return rack % 2 == 0 && rack < 20 && place < kDeceptiveNodes ? 1 : 0;
}

/// Applies the events of a new gang.
void ask(Cluster& cluster, const std::string& name, Time now) {
  cluster.add(GangUpsert{.name = name,
                         .queue = "default",
                         .min = kMembers,
                         .max = kMembers,
                         .topology_key = "rack",
                         .topology_required = true,
                         .created = now});
  for (int i = 0; i < kMembers; ++i)
    cluster.add(gpu_task(name + "-" + std::to_string(i), 1, "default", name));
}

}  // namespace

Measures gang() {
  Cluster cluster("berth");
  Time now{Duration::hours(1).ns};
  cluster.add(QueueUpsert{.name = "default"});
  for (int n = 0; n < kNodes; ++n) {
    const std::string node = "node-" + std::to_string(n);
    cluster.add(gpu_node(node, kDevices, "rack-" + std::to_string(n / kNodesPerRack)));
    for (int d = 0; d < kDevices - free_devices(n); ++d)
      cluster.add(running(gpu_task(node + "-" + std::to_string(d), 1, "default"), node, d, now));
  }
  cluster.cycle(now);

  // Again and again on the same cluster: the first finds no index for its shape yet.
  std::vector<double> times;
  for (int i = 0; i < 7; ++i) {
    const std::string name = "gang-" + std::to_string(i);
    now = now + Duration::seconds(1);
    ask(cluster, name, now);
    const Plan plan = cluster.cycle(now);
    times.push_back(cluster.decision_seconds() * 1e3);
    const auto binds = std::count_if(plan.actions.begin(), plan.actions.end(), [](const Action& a) {
      return std::holds_alternative<Bind>(a);
    });
    if (binds != kMembers) return {};
    for (int m = 0; m < kMembers; ++m) cluster.add(TaskRemove{name + "-" + std::to_string(m)});
    cluster.add(GangRemove{name});
    now = now + Duration::seconds(1);
    cluster.cycle(now);
  }
  return {{"first_ms", times.front()},
          {"worst_ms", *std::max_element(times.begin(), times.end())},
          {"idle_ms", cluster.decision_seconds() * 1e3}};
}

}  // namespace berth::bench
