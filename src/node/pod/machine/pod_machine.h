#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "node/pod/machine/pod_record.h"
#include "node/pod/machine/probe_tracker.h"
#include "node/pod/pod_spec.h"
#include "objects/json.h"

namespace berth::node {

enum class ProbeKind { kStartup, kReadiness, kLiveness };
enum class HookKind { kPostStart, kPreStop };

/// What a pod machine wants done. No call may call back into the machine; answers come later, as
/// `on_*` calls that carry the container and, where there is one, the attempt.
class PodActions {
 public:
  virtual ~PodActions() = default;
  /// Cgroup, network, ConfigMaps and the like, volumes → on_prepared.
  virtual void prepare_pod() = 0;
  /// → on_image.
  virtual void pull_image(const std::string& container) = 0;
  /// → on_started, then at some time on_exited.
  virtual void start_container(const std::string& container, int attempt) = 0;
  virtual void signal_container(const std::string& container, int attempt, int signal) = 0;
  /// The container does not die or its monitor did: remove it by force → on_exited.
  virtual void force_remove(const std::string& container, int attempt) = 0;
  /// Forgets a run that ended, but not its log.
  virtual void discard(const std::string& container, int attempt) = 0;
  virtual void run_probe(const std::string& container, int attempt, ProbeKind kind) = 0;
  /// → on_hook.
  virtual void run_hook(const std::string& container, int attempt, HookKind kind,
                        Duration limit) = 0;
  virtual void resize(const std::string& container, int attempt, const ContainerSpec& spec) = 0;
  /// Nothing runs any more: give back network, mounts, cgroup → on_torn_down.
  virtual void tear_down() = 0;
  /// The object is marked for deletion and nothing is left: let the API server forget it.
  virtual void delete_object() = 0;
  virtual void publish(Json status) = 0;
  virtual void persist(Json record) = 0;
  virtual void record_event(bool warning, const std::string& container, const std::string& reason,
                            const std::string& message) = 0;
};

/// How a start went.
struct StartOutcome {
  enum class Kind {
    kRunning,
    kConfigError,  ///< the pod asks for what is not there: CreateContainerConfigError
    kCreateError,  ///< the node could not: CreateContainerError
    kStartError,   ///< the program cannot be run: counts as an exit with 128
  } kind = Kind::kRunning;
  std::string message;
  Time started_at;
};

struct ExitOutcome {
  int exit_code = 0;
  bool oom_killed = false;
  std::string message;  ///< the termination message
  Time finished_at;
  bool lost = false;  ///< nobody saw the exit code
};

/// The life of one pod on this node, from binding to deletion, by the kubelet's rules. A plain
/// object on one thread: it reads no clock and does no IO. `now` never goes back by more than the
/// clock does; every call may be repeated or come late (attempts that are over are ignored).
class PodMachine {
 public:
  struct Options {
    std::string host_ip;
    Duration first_backoff = Duration::seconds(10);
    Duration longest_backoff = Duration::minutes(5);
    Duration backoff_reset = Duration::minutes(10);
    /// After SIGKILL and no exit: the monitor is dead too.
    Duration kill_patience = Duration::seconds(20);
  };

  PodMachine(PodSpec pod, PodState record, Options options, PodActions& actions);

  /// The first call; also after a recovery, when all `on_recovered` calls were made.
  void on_admitted(Time now);
  /// The node cannot take it (`UnexpectedAdmissionError`, `OutOfpods`, ...): it fails at once.
  void on_refused(const std::string& reason, const std::string& message, Time now);
  /// The object changed: deletion, resources, annotations.
  void on_spec(PodSpec pod, Time now);
  /// The object is gone: as if deleted with no grace.
  void on_removed(Time now);
  /// `spoilt` says that the error is the pod's fault and which event it is (FailedMount, ...).
  void on_prepared(const Result<std::vector<std::string>>& ips, const std::string& event, Time now);
  struct Image {
    std::string reference;
    std::string digest;
    bool pulled = false;
    Duration took;
  };
  void on_image(const std::string& container, const Result<Image>& image, Time now);
  void on_started(const std::string& container, int attempt, const StartOutcome& outcome, Time now);
  void on_exited(const std::string& container, int attempt, const ExitOutcome& outcome, Time now);
  void on_probe(const std::string& container, int attempt, ProbeKind kind, bool success,
                const std::string& message, Time now);
  void on_hook(const std::string& container, int attempt, HookKind kind, const Result<>& outcome,
               Time now);
  void on_resized(const std::string& container, int attempt, const Result<>& outcome, Time now);
  /// The node ends the pod; it fails with this reason.
  void on_ended(const std::string& reason, const std::string& message, Duration grace, Time now);
  void on_torn_down(Time now);
  void on_wake(Time now);
  /// Found again after a restart of Berth: it runs since then, or not at all (it is started anew
  /// under the same attempt).
  void on_recovered_running(const std::string& container, int attempt, Time started_at);
  void on_recovered_absent(const std::string& container, int attempt);

  /// When `on_wake` is due; nothing when there is nothing to wait for.
  std::optional<Time> next_wake() const { return wake_; }
  /// Torn down, and its object is gone: may be destroyed and its folder removed.
  bool finished() const { return torn_down_ && removed_; }
  bool torn_down() const { return torn_down_; }
  const PodSpec& pod() const { return pod_; }
  const PodState& record() const { return record_; }
  const Json& status() const { return status_; }

  // The events are in pod_machine.cc, what follows from them in steps.cc and transitions.cc.
 private:
  /// What is only known while Berth runs.
  struct Live {
    std::optional<ProbeTracker> startup, readiness, liveness;
    bool hook_pending = false;  ///< postStart has not answered
    bool pre_stop_pending = false;
    bool term_sent = false;
    std::optional<Time> kill_at;     ///< SIGKILL when it comes
    std::optional<Time> give_up_at;  ///< after SIGKILL
  };

  void step(Time now);
  void step_stopping(Time now);
  void step_init(Time now);
  void step_regular(Time now);
  void run_when_due(const ContainerSpec& spec, ContainerRecord& c, Time now);
  void step_probes(const ContainerSpec& spec, ContainerRecord& c, Time now);
  void step_kill(ContainerRecord& c, Time now);
  void stop_container(const ContainerSpec& spec, ContainerRecord& c, Duration grace,
                      const std::string& why, Time now);
  void stop_everything(Duration grace, Time now);
  void begin_end(Time now);
  void became_running(const ContainerSpec& spec, ContainerRecord& c);
  void begin_probing(const ContainerSpec& spec, ContainerRecord& c);
  void became_started(const ContainerSpec& spec, ContainerRecord& c);
  void ended(const ContainerSpec& spec, ContainerRecord& c, Termination how, Time now);
  void schedule_retry(ContainerRecord& c, Time from);
  void wait(ContainerRecord& c, std::string reason, std::string message);
  void wake(Time at);
  void show(Time now);
  bool stopping() const { return deleting_ || removed_ || !record_.fail_reason.empty() || final_; }
  bool anything_runs() const;
  ContainerRecord* current(const std::string& container, int attempt);
  const ContainerSpec& spec_of(const ContainerRecord& c) const;
  Live& live(const ContainerRecord& c) { return live_[c.name]; }

  PodSpec pod_;
  PodState record_;
  Options options_;
  PodActions& actions_;
  std::map<std::string, Live> live_;
  bool admitted_ = false;
  bool preparing_ = false;
  bool prepared_ = false;  ///< since this Berth runs
  Duration prepare_backoff_;
  std::optional<Time> prepare_at_;
  bool deleting_ = false;
  bool removed_ = false;
  bool final_ = false;  ///< every container ended by itself
  bool tearing_down_ = false;
  bool torn_down_ = false;
  bool deletion_asked_ = false;
  std::optional<Time> wake_;
  Json status_;
  Json kept_;
};

}  // namespace berth::node
