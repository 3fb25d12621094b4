#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "node/images/image_store.h"
#include "node/pod/host/node_context.h"
#include "node/pod/host/pod_reporter.h"
#include "node/pod/host/pod_work.h"
#include "node/pod/machine/pod_machine.h"
#include "node/pod/pod_inputs.h"
#include "node/pod/pod_paths.h"
#include "node/pod/prober.h"
#include "platform/event_loop.h"

namespace berth::node {

/// One pod on this machine: carries out what its machine asks for, on the pools, and brings the
/// answers back to the loop. Lives on the loop's thread.
class PodHost : public PodActions, public std::enable_shared_from_this<PodHost> {
 public:
  /// `on_finished` is called once nothing is left of the pod, on the loop.
  PodHost(NodeContext& context, PodSpec pod, PodState record,
          std::function<void(const std::string& uid)> on_finished);
  PodMachine& machine() { return machine_; }
  const PodSpec& pod() const { return *spec_; }
  const PodPaths& paths() const { return paths_; }
  std::string cgroup() const { return pod_cgroup(context_.cgroup_root, *spec_); }
  std::string log_folder() const;

  /// Begins; the folder is made and the object written first.
  void admit();
  void refuse(const std::string& reason, const std::string& message);
  /// An object that `update` need not be told of.
  bool knows(const Json& object) const;
  void update(PodSpec pod);
  void removed();
  /// The node ends it: `Evicted`, `Terminated`.
  void end(const std::string& reason, const std::string& message, Duration grace);
  /// The exit code of a run is in its file, or will never be: its monitor is gone.
  void exited(const std::string& container, int attempt, bool monitor_gone);
  /// Fetches ConfigMaps, Secrets and tokens again and renews the volumes made of them.
  void refresh_inputs();
  /// The process id of a running container's first process; 0 when it does not run.
  int pid_of(const std::string& container) const;
  /// Of a container that an earlier agent started.
  void adopt_pid(const std::string& container, int pid) { pids_[container] = pid; }

  // PodActions: each is kept until the machine's call has returned and its record is on disk.
  void prepare_pod() override;
  void pull_image(const std::string& container) override;
  void start_container(const std::string& container, int attempt) override;
  void signal_container(const std::string& container, int attempt, int signal) override;
  void force_remove(const std::string& container, int attempt) override;
  void discard(const std::string& container, int attempt) override;
  void run_probe(const std::string& container, int attempt, ProbeKind kind) override;
  void run_hook(const std::string& container, int attempt, HookKind kind, Duration limit) override;
  void resize(const std::string& container, int attempt, const ContainerSpec& spec) override;
  void tear_down() override;
  void delete_object() override;
  void publish(Json status) override;
  void persist(Json record) override;
  void record_event(bool warning, const std::string& container, const std::string& reason,
                    const std::string& message) override;

 private:
  using Spec = std::shared_ptr<const PodSpec>;
  /// Calls the machine, then does what it asked for.
  void drive(const std::function<void(PodMachine&, Time)>& call);
  void flush();
  /// Runs `job` on a pool, then `then` with its result on the loop, unless this pod is gone.
  template <class Job, class Then>
  void off_loop(WorkPool& pool, Job job, Then then, WorkPool::Turn turn = WorkPool::Turn::kNext);
  /// Status, which comes back after each write of it, is none; but for the conditions that
  /// readiness gates wait for.
  bool is_news(const Json& object) const;
  void prepare_with(Result<PodInputs> inputs);
  ProbeTarget target(const std::string& container, int attempt) const;
  /// Asks until the program has no requests any more, or `until`.
  void drain(const Handler& hook, const ProbeTarget& at, Time until,
             std::function<void(PodHost&, const Result<>&)> drained);
  void finish_if_over();
  /// The whole pod is on its way out, not one container of it.
  bool ending() const;

  NodeContext& context_;
  Spec spec_;
  PodPaths paths_;
  PodMachine machine_;
  std::function<void(const std::string&)> on_finished_;
  std::vector<std::function<void()>> deferred_;
  std::optional<platform::EventLoop::TimerId> timer_;
  std::shared_ptr<const PreparedPod> prepared_;
  std::unordered_map<std::string, ImageHandle> images_;
  std::unordered_map<std::string, int> pids_;
  /// An exit that came before the answer to its start.
  std::unordered_map<std::string, int> starting_;
  std::unordered_map<std::string, bool> early_exits_;
  std::vector<std::pair<std::string, int>> awaiting_namespace_;
  std::shared_ptr<PodReporter> reporter_;
  bool updated_ = false;  ///< since this process began: a resize may have been cut off before
  bool finished_ = false;
  bool refused_ = false;
};

/// The pods of a node, by uid.
using PodHosts = std::unordered_map<std::string, std::shared_ptr<PodHost>>;

}  // namespace berth::node
