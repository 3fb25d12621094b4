#include "bench/decisions/measure.h"

#include <ctime>

#include "control/cycle.h"

namespace berth::bench {

using namespace core;  // NOLINT: the cases speak the core's terms

Time Stopwatch::now() const {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return Time{int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec};
}

Cluster::Cluster(const std::string& profile) : placer_(make_placer(profile, 1)) {
  PolicySet policy;
  policy.profile = profile;
  state_.apply(policy);
}

Plan Cluster::cycle(Time now) {
  state_.apply(Tick{now});
  Plan plan;
  decision_seconds_ = seconds([&] { plan = control::decide(state_, *placer_, ++plans_); });
  state_.commit(plan.id, plan.actions);
  for (const Action& action : plan.actions)
    if (const auto* bind = std::get_if<Bind>(&action))
      state_.apply(BindDone{bind->place.task, true});
  return plan;
}

NodeUpsert gpu_node(const std::string& name, int devices, const std::string& rack) {
  NodeUpsert node{.name = name,
                  .capacity = {.cpu_milli = 128'000,
                               .memory_bytes = int64_t{1} << 40,
                               .ephemeral_bytes = int64_t{1} << 40,
                               .pods = 110}};
  for (int i = 0; i < devices; ++i)
    node.devices.push_back({.id = "gpu-" + std::to_string(i),
                            .resource = "nvidia.com/gpu",
                            .model = "H100",
                            .memory_bytes = int64_t{80} << 30});
  if (!rack.empty()) node.labels = {{"rack", rack}};
  return node;
}

TaskUpsert gpu_task(const std::string& name, int devices, const std::string& queue,
                    const std::string& gang) {
  TaskUpsert task{.name = name, .ns = "default", .gang = gang, .queue = queue};
  task.shape.request.cpu_milli = 8000 * devices;
  task.shape.request.memory_bytes = (int64_t{32} << 30) * devices;
  task.shape.devices.resource = "nvidia.com/gpu";
  task.shape.devices.count = static_cast<uint16_t>(devices);
  return task;
}

TaskUpsert running(TaskUpsert task, const std::string& node, int first_device, Time started) {
  task.phase = TaskPhase::kRunning;
  task.node = node;
  for (int i = 0; i < task.shape.devices.count; ++i)
    task.devices.push_back("gpu-" + std::to_string(first_device + i));
  task.created = task.started = started;
  return task;
}

}  // namespace berth::bench
