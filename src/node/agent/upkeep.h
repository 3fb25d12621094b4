#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "node/agent/agent.h"
#include "node/agent/checkpoint_watch.h"
#include "node/device_ledger.h"
#include "node/pod/host/pod_host.h"
#include "node/usage.h"
#include "node/work_pool.h"

namespace berth::node {

/// What the agent does now and then, whatever happens to pods: samples use, rotates logs, notices
/// monitors that died and checkpoints that were written, evicts for storage, shares the CPU among
/// classes, renews inputs and asks who else uses the devices. On the loop; what takes its time is
/// done on the pool `slow`. References outlive it, and it outlives the loop's work.
class Upkeep {
 public:
  struct Parts {
    const AgentOptions& options;
    NodeContext& context;
    PodHosts& pods;
    DeviceLedger& devices;
    WorkPool& slow;
    std::function<void(std::vector<Device>)> devices_seen;
  };
  explicit Upkeep(Parts parts) : parts_(std::move(parts)) {}

  /// On the loop.
  void start();
  /// On the loop: a pod is gone.
  void forget(const std::string& uid) { checkpoints_.forget(uid); }
  /// Any thread.
  UsageSnapshot usage() const;

 private:
  void schedule_sampling();
  void schedule_device_check();
  void sample();
  PodUsage sample_pod(PodHost& host, Time at);
  void tend(PodHost& host);
  void note_checkpoint(PodHost& host, const ContainerRecord& c, int pid);
  void sample_devices();
  void measure_disks(const std::vector<std::shared_ptr<PodHost>>& hosts);
  void share_cpu_of_burstable();

  Parts parts_;
  UsageRates rates_;
  CheckpointWatch checkpoints_;
  Time refreshed_;
  bool sampling_devices_ = false;
  bool measuring_ = false;
  std::optional<int64_t> burstable_shares_;
  mutable std::mutex mutex_;
  UsageSnapshot snapshot_;  // guarded by mutex_
};

}  // namespace berth::node
