#include "node/agent/upkeep.h"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include "node/agent/ephemeral_storage.h"
#include "node/files.h"
#include "node/logs.h"

namespace berth::node {
namespace {

const client::Resource kPods = {"", "v1", "pods"};
/// ConfigMaps, Secrets and tokens in volumes are renewed this often.
constexpr Duration kRefreshPeriod = Duration::seconds(60);
/// Whose rate that of the whole machine is.
const std::string kMachine = "/";

}  // namespace

void Upkeep::start() {
  // The counter runs since boot: the first window begins here.
  const Time now = parts_.context.clock.now();
  rates_.cores(kMachine, machine_counters().busy_ns, now, now);
  schedule_sampling();
  schedule_device_check();
}

UsageSnapshot Upkeep::usage() const {
  const std::lock_guard lock(mutex_);
  return snapshot_;
}

void Upkeep::schedule_sampling() {
  parts_.context.loop.after(parts_.options.usage_period, [this] {
    sample();
    schedule_sampling();
  });
}

void Upkeep::sample() {
  const Time at = parts_.context.clock.now();
  UsageSnapshot fresh;
  const MachineCounters counters = machine_counters();
  fresh.machine.at = at;
  fresh.machine.window = parts_.options.usage_period;
  fresh.machine.cpu_cores = rates_.cores(kMachine, counters.busy_ns, at, at);
  fresh.machine.memory_bytes = counters.memory_used_bytes;
  fresh.machine.cpus = counters.cpus;
  fresh.machine.memory_total_bytes = counters.memory_bytes;
  std::vector<std::shared_ptr<PodHost>> now_running;
  for (const auto& [uid, host] : parts_.pods) {
    if (host->machine().record().ended) {
      parts_.devices.give_back(uid);
      continue;
    }
    now_running.push_back(host);
    fresh.pods.push_back(sample_pod(*host, at));
    tend(*host);
  }
  rates_.sweep();
  {
    const std::lock_guard lock(mutex_);
    fresh.devices = std::move(snapshot_.devices);
    snapshot_ = std::move(fresh);
  }
  if (parts_.options.on_usage) parts_.options.on_usage(usage());
  measure_disks(now_running);
  sample_devices();
  share_cpu_of_burstable();
  if (at - refreshed_ < kRefreshPeriod) return;
  refreshed_ = at;
  for (const auto& host : now_running) host->refresh_inputs();
}

PodUsage Upkeep::sample_pod(PodHost& host, Time at) {
  PodUsage out;
  out.ns = host.pod().ns;
  out.name = host.pod().name;
  out.uid = host.pod().uid;
  out.at = at;
  out.window = parts_.options.usage_period;
  out.devices = host.pod().devices;
  const PodState& record = host.machine().record();
  for (const auto* list : {&record.init, &record.regular})
    for (const ContainerRecord& c : *list) {
      if (c.stage != Stage::kRunning) continue;
      const std::string group = fmt::format("{}/{}-{}", host.cgroup(), c.name, c.attempt);
      const auto used = parts_.context.cgroups.usage(group);
      if (!used) continue;
      out.containers.push_back(
          {c.name, used->cpu_ns, rates_.cores(group, used->cpu_ns, at, c.started_at),
           used->memory_bytes, used->io_read_bytes, used->io_written_bytes, used->pids});
    }
  return out;
}

/// Logs that have grown, monitors that died, checkpoints that were written.
void Upkeep::tend(PodHost& host) {
  const PodState record = host.machine().record();
  for (const auto* list : {&record.init, &record.regular})
    for (const ContainerRecord& c : *list) {
      if (c.stage != Stage::kRunning && c.stage != Stage::kStopping) continue;
      const std::string bundle = host.paths().attempt(c.name, c.attempt) + "/bundle";
      const std::string log = container_log_path(host.log_folder(), c.name, c.attempt);
      if (const auto rotated = rotate_log(log); rotated && *rotated)
        (void)parts_.context.runtime.reopen_log(bundle);
      const int pid = host.pid_of(c.name);
      const auto monitor = read_integer(bundle + "/conmon.pid");
      const bool orphaned =
          pid > 0 && ::kill(pid, 0) != 0 && monitor && ::kill(static_cast<pid_t>(*monitor), 0) != 0;
      if (orphaned) {
        host.exited(c.name, c.attempt, /*monitor_gone=*/true);
        continue;
      }
      note_checkpoint(host, c, pid);
    }
}

void Upkeep::note_checkpoint(PodHost& host, const ContainerRecord& c, int pid) {
  const auto changed = checkpoints_.news(
      {host.pod().uid, c.name, c.attempt, pid, host.paths().attempt(c.name, c.attempt)});
  if (!changed) return;
  JsonObject annotations = {{"berth.dev/last-checkpoint", format_time(*changed)}};
  parts_.context.api.patch(
      {kPods, host.pod().ns, host.pod().name, {}}, client::PatchType::kMerge,
      JsonObject{{"metadata",
                  JsonObject{{"uid", host.pod().uid}, {"annotations", std::move(annotations)}}}},
      {}, [](const Result<SharedJson>&) {});
}

/// A driver may take its time: beside the loop.
void Upkeep::sample_devices() {
  if (sampling_devices_ || parts_.devices.devices().empty()) return;
  sampling_devices_ = true;
  parts_.slow.run([this] {
    auto samples = parts_.options.devices.sample();
    parts_.context.loop.post([this, samples = std::move(samples)]() mutable {
      sampling_devices_ = false;
      if (!samples) return;
      const std::lock_guard lock(mutex_);
      snapshot_.devices = *std::move(samples);
    });
  });
}

/// Ephemeral storage is measured beside the loop, and what is over its limit is evicted.
void Upkeep::measure_disks(const std::vector<std::shared_ptr<PodHost>>& hosts) {
  if (measuring_) return;
  std::vector<StorageLimits> limited;
  for (const auto& host : hosts)
    if (auto limits = storage_limits(host->pod(), host->paths(), host->log_folder()))
      limited.push_back(*std::move(limits));
  if (limited.empty()) return;
  measuring_ = true;
  parts_.slow.run([this, limited = std::move(limited)] {
    std::vector<std::pair<std::string, std::string>> over;
    for (const StorageLimits& limits : limited)
      if (auto message = over_storage_limit(limits))
        over.emplace_back(limits.pod_uid, *std::move(message));
    parts_.context.loop.post([this, over = std::move(over)] {
      measuring_ = false;
      for (const auto& [uid, message] : over)
        if (const auto host = parts_.pods.find(uid); host != parts_.pods.end())
          host->second->end("Evicted", message, Duration{});
    });
  });
}

/// Burstable pods together weigh what they asked for, against the guaranteed ones beside them.
void Upkeep::share_cpu_of_burstable() {
  int64_t milli = 0;
  for (const auto& [uid, host] : parts_.pods)
    if (host->pod().qos == QosClass::kBurstable && !host->machine().record().ended)
      milli += pod_requests(host->pod()).cpu_milli.value_or(0);
  CgroupLimits limits;
  limits.cpu_shares = shares_from_milli_cpu(milli);
  if (limits.cpu_shares == burstable_shares_) return;
  burstable_shares_ = limits.cpu_shares;
  (void)parts_.context.cgroups.apply(parts_.options.cgroup_root + "/burstable", limits);
}

void Upkeep::schedule_device_check() {
  parts_.context.loop.after(parts_.options.device_period, [this] {
    parts_.slow.run([this] {
      auto found = parts_.options.devices.discover();
      parts_.context.loop.post([this, found = std::move(found)]() mutable {
        if (found) {
          parts_.devices.set_devices(*found);
          parts_.devices_seen(*std::move(found));
        } else {
          spdlog::warn("node: devices cannot be listed: {}", found.error().to_string());
        }
        schedule_device_check();
      });
    });
  });
}

}  // namespace berth::node
