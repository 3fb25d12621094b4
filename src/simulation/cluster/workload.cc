#include "simulation/cluster/workload.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "base/rng.h"
#include "base/text.h"
#include "control/reasons.h"
#include "core/model/state.h"

namespace berth::simulation {
namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;
constexpr int64_t kPodsPerNode = 1000;

core::NodeUpsert node_of(const traces::ClusterNode& from) {
  core::NodeUpsert node{.name = from.name,
                        .capacity = {.cpu_milli = from.cpu_milli,
                                     .memory_bytes = from.memory_mib * kMebibyte,
                                     .ephemeral_bytes = 0,
                                     .pods = kPodsPerNode}};
  for (int i = 0; i < from.devices; ++i)
    node.devices.push_back(
        {.id = fmt::format("gpu-{}", i), .resource = std::string(kGpu), .model = from.model});
  if (!from.rack.empty()) node.labels.emplace_back("rack", from.rack);
  return node;
}

core::QueueUpsert queue_of(const traces::ClusterQueue& from) {
  core::QueueUpsert queue{.name = from.name, .parent = from.parent};
  queue.weight_milli = static_cast<int64_t>(from.weight * 1000);
  const auto row = [](double gpus) {
    return core::QuotaSpec::Row{std::string(kGpu), static_cast<int64_t>(gpus * 1000), 0};
  };
  if (from.guaranteed_gpus >= 0) queue.guaranteed.accelerators.push_back(row(from.guaranteed_gpus));
  if (from.limit_gpus >= 0) queue.limit.accelerators.push_back(row(from.limit_gpus));
  return queue;
}

Work work_of(const traces::ClusterJob& from) {
  Work work;
  work.name = from.name;
  work.owner = from.owner;
  work.submit = Duration::from_seconds(from.submit_s);
  work.runtime = Duration::from_seconds(from.runtime_s);
  work.checkpoint = Duration::from_seconds(from.checkpoint_s);
  core::TaskUpsert task{.name = from.name, .ns = "trace"};
  task.queue = from.queue.empty() ? "default" : from.queue;
  task.preemptible = from.preemptible;
  task.restartable = from.checkpoint_s > 0;
  task.priority = from.priority;
  task.expected_duration = Duration::from_seconds(from.estimate_s);
  task.owner = from.owner;
  task.shape.request.cpu_milli = from.cpu_milli;
  task.shape.request.memory_bytes = from.memory_mib * kMebibyte;
  if (from.devices > 0) {
    task.shape.devices.resource = kGpu;
    task.shape.devices.count = static_cast<uint16_t>(from.devices);
    task.shape.devices.milli = static_cast<uint16_t>(from.device_milli);
    for (std::string_view model : split(from.models, '|'))
      if (!model.empty()) task.shape.devices.models.emplace_back(model);
    std::sort(task.shape.devices.models.begin(), task.shape.devices.models.end());
  }
  if (from.members == 1) {
    work.members = {task};
    return work;
  }
  work.has_gang = true;
  work.gang = {.name = from.name,
               .queue = task.queue,
               .priority = from.priority,
               .min = from.members,
               .max = from.members};
  task.gang = from.name;
  for (uint32_t i = 0; i < from.members; ++i) {
    task.name = fmt::format("{}-{}", from.name, i);
    work.members.push_back(task);
  }
  return work;
}

/// The guarantees of siblings against what their parent, or the cluster, has.
Result<> check_guarantees(const std::vector<traces::ClusterQueue>& queues, double gpus) {
  for (const traces::ClusterQueue& last : queues) {
    if (last.guaranteed_gpus < 0) continue;
    const auto parent =
        std::find_if(queues.begin(), queues.end(),
                     [&](const traces::ClusterQueue& queue) { return queue.name == last.parent; });
    double there = gpus;
    std::string whose = "the cluster";
    if (parent != queues.end() && parent->guaranteed_gpus >= 0) {
      there = parent->guaranteed_gpus;
      whose = fmt::format("its parent {} is guaranteed", parent->name);
    }
    double sum = 0;
    for (const traces::ClusterQueue& queue : queues) {
      if (queue.parent == last.parent) sum += std::max(0.0, queue.guaranteed_gpus);
      // The first row with which they are too many is the one to look at.
      if (&queue == &last) break;
    }
    if (sum > there)
      return fail(
          ErrorCode::kInvalid,
          fmt::format("with queue `{}` guarantees add up to {} GPUs; {} {}", last.name, sum, whose,
                      parent != queues.end() && parent->guaranteed_gpus >= 0
                          ? fmt::format("only {}", there)
                          : fmt::format("has {}", there)),
          last.where, "guarantee less");
  }
  return {};
}

/// One check a kind of job: could the empty cluster hold it?
Result<> check_jobs(const Workload& workload, const std::vector<traces::ClusterJob>& jobs) {
  core::State state;
  for (const core::NodeUpsert& node : workload.nodes) state.apply(node);
  for (const core::QueueUpsert& queue : workload.queues) state.apply(queue);
  std::set<std::tuple<int64_t, int64_t, int, int, std::string, uint32_t>> seen;
  for (const traces::ClusterJob& job : jobs) {
    const std::string queue = job.queue.empty() ? "default" : job.queue;
    const core::QueueId id = state.find_queue(queue);
    if (!id.valid() || !state.queue(id).children.empty())
      return fail(ErrorCode::kInvalid,
                  id.valid()
                      ? fmt::format("queue `{}` of job `{}` has queues below it", queue, job.name)
                      : fmt::format("there is no queue `{}` for job `{}`", queue, job.name),
                  job.where, "name a leaf of the queue table");
    if (!seen.emplace(job.cpu_milli, job.memory_mib, job.devices, job.device_milli, job.models,
                      job.members)
             .second)
      continue;
    const Work work = work_of(job);
    core::State trial = state;
    if (work.has_gang) trial.apply(work.gang);
    for (const core::TaskUpsert& member : work.members) trial.apply(member);
    const core::Gang& gang = trial.gang(trial.find_gang(work.name));
    if (control::never_fits(trial, gang, gang.tasks))
      return fail(ErrorCode::kInvalid,
                  fmt::format("job `{}` never fits: {}", job.name,
                              control::why_never(trial, gang, gang.tasks)),
                  job.where, "ask for less, or add nodes");
  }
  return {};
}

}  // namespace

Result<Workload> make_workload(const std::vector<traces::ClusterNode>& nodes,
                               const std::vector<traces::ClusterJob>& jobs,
                               const std::vector<traces::ClusterQueue>& queues) {
  Workload workload;
  double gpus = 0;
  for (const traces::ClusterNode& node : nodes) {
    workload.nodes.push_back(node_of(node));
    gpus += node.devices;
  }
  BERTH_CHECK(check_guarantees(queues, gpus));
  for (const traces::ClusterQueue& queue : queues) workload.queues.push_back(queue_of(queue));
  if (queues.empty()) {
    std::set<std::string> names;
    for (const traces::ClusterJob& job : jobs)
      names.insert(job.queue.empty() ? "default" : job.queue);
    for (const std::string& name : names) workload.queues.push_back({.name = name});
  }
  BERTH_CHECK(check_jobs(workload, jobs));
  for (const traces::ClusterJob& job : jobs) workload.jobs.push_back(work_of(job));
  return workload;
}

Workload resampled(const Workload& workload, uint64_t seed) {
  Workload drawn;
  drawn.nodes = workload.nodes;
  drawn.queues = workload.queues;
  if (workload.jobs.empty()) return drawn;
  Rng rng(seed);
  const size_t count = workload.jobs.size();
  Duration at;
  for (size_t i = 0; i < count; ++i) {
    Work work = workload.jobs[rng.below(count)];
    if (i > 0) {
      const size_t gap = 1 + rng.below(count - 1);
      at = at + (workload.jobs[gap].submit - workload.jobs[gap - 1].submit);
    }
    work.submit = at;
    const std::string name = fmt::format("{}.{}", work.name, i);
    for (core::TaskUpsert& member : work.members) {
      member.name = name + member.name.substr(work.name.size());
      if (work.has_gang) member.gang = name;
    }
    work.gang.name = name;
    work.name = name;
    drawn.jobs.push_back(std::move(work));
  }
  return drawn;
}

}  // namespace berth::simulation
