#include "app/measured_use.h"

#include <algorithm>
#include <cmath>

namespace berth::app {
namespace {

int32_t permille(double used, double capacity) {
  if (capacity <= 0) return -1;
  return static_cast<int32_t>(std::lround(std::clamp(used / capacity, 0.0, 1.0) * 1000));
}

}  // namespace

core::NodeSample node_sample(const node::UsageSnapshot& usage, const std::string& node) {
  const node::MachineUsage& machine = usage.machine;
  core::NodeSample sample{
      .node = node,
      .cpu_permille = permille(machine.cpu_cores, static_cast<double>(machine.cpus)),
      .memory_permille = permille(static_cast<double>(machine.memory_bytes),
                                  static_cast<double>(machine.memory_total_bytes)),
      .device_permille = -1};
  if (usage.devices.empty()) return sample;
  double percent = 0;
  for (const node::DeviceSample& device : usage.devices) percent += device.compute_percent;
  sample.device_permille = permille(percent, 100.0 * static_cast<double>(usage.devices.size()));
  return sample;
}

std::vector<controllers::PodUse> pod_use(const node::UsageSnapshot& usage) {
  std::vector<controllers::PodUse> pods;
  for (const node::PodUsage& pod : usage.pods) {
    controllers::PodUse& use = pods.emplace_back(pod.uid);
    for (const node::ContainerUsage& container : pod.containers)
      use.containers[container.name] = {.at = pod.at,
                                        .window = pod.window,
                                        .cpu_milli = std::llround(container.cpu_cores * 1000),
                                        .memory_bytes = container.memory_bytes};
  }
  return pods;
}

void MeasuredUse::feed(bridge::Scheduler* scheduler, controllers::Runner* runner) {
  const std::lock_guard lock(mutex_);
  scheduler_ = scheduler;
  runner_ = runner;
}

void MeasuredUse::window(const node::UsageSnapshot& usage) {
  const std::lock_guard lock(mutex_);
  if (scheduler_ != nullptr) scheduler_->add_usage({node_sample(usage, node_)});
  if (runner_ != nullptr) runner_->add_use(pod_use(usage));
}

}  // namespace berth::app
