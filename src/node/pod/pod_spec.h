#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "node/cgroup/limits.h"
#include "node/devices/device_source.h"
#include "node/images/image_store.h"
#include "objects/json.h"

namespace berth::node {

/// The part of a pod that the node acts on, read once from its object. Fields are called as in
/// Kubernetes' core/v1 unless a unit is added.

struct ResourceAmounts {
  std::optional<int64_t> cpu_milli;
  std::optional<int64_t> memory_bytes;
  std::optional<int64_t> ephemeral_storage_bytes;
};

/// What to do in or to a container: a probe or a lifecycle hook.
struct Handler {
  enum class Kind { kExec, kHttpGet, kTcpSocket, kSleep, kDrain } kind = Kind::kExec;
  std::vector<std::string> command;
  /// kDrain: metrics of the page at `port` and `path` whose sum is the requests still in it.
  std::vector<std::string> busy_metrics;
  std::string host;  ///< empty: the pod's address
  int port = 0;      ///< names are resolved to the container's ports
  std::string path = "/";
  bool https = false;
  std::vector<std::pair<std::string, std::string>> headers;
  Duration sleep;  ///< kSleep, and before kDrain asks
};

struct Probe {
  Handler handler;
  Duration initial_delay;
  Duration period = Duration::seconds(10);
  Duration timeout = Duration::seconds(1);
  int success_threshold = 1;
  int failure_threshold = 3;
  std::optional<Duration> grace;  ///< terminationGracePeriodSeconds of the probe
};

struct VolumeMount {
  std::string name;
  std::string mount_path;
  std::string sub_path;
  bool sub_path_expanded = false;  ///< subPathExpr: $(VAR) in it
  bool read_only = false;
};

struct SeccompChoice {
  enum class Kind { kDefault, kUnconfined, kLocalhost } kind = Kind::kDefault;
  std::string localhost_profile;
};

struct ContainerSpec {
  std::string name;
  std::string image;
  PullPolicy pull_policy = PullPolicy::kIfNotPresent;
  std::optional<std::vector<std::string>> command;
  std::optional<std::vector<std::string>> args;
  std::string working_dir;
  Json source;  ///< the container's object, for env, envFrom and resourceFieldRef
  ResourceAmounts requests;
  ResourceAmounts limits;
  std::map<std::string, int64_t> extended;  ///< extended resources asked for, whole units
  std::vector<VolumeMount> mounts;
  std::optional<Probe> startup, readiness, liveness;
  std::optional<Handler> post_start, pre_stop;
  std::string stop_signal;
  std::string termination_message_path = "/dev/termination-log";
  bool message_from_logs = false;  ///< terminationMessagePolicy: FallbackToLogsOnError
  bool open_stdin = false;
  bool terminal = false;
  bool init = false;
  bool sidecar = false;  ///< an init container with restartPolicy Always

  // The security context, with the pod's where the container says nothing.
  std::optional<int64_t> run_as_user, run_as_group;
  bool run_as_non_root = false;
  bool read_only_root = true;  ///< unless readOnlyRootFilesystem is false
  bool privileged = false;
  bool allow_privilege_escalation = false;  ///< unless it is asked for
  std::vector<std::string> capabilities_added, capabilities_dropped;
  SeccompChoice seccomp;
  bool unmasked_proc = false;
};

enum class RestartPolicy { kAlways, kOnFailure, kNever };

struct PodSpec {
  std::string ns;
  std::string name;
  std::string uid;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  bool deleting = false;
  Duration deletion_grace;  ///< metadata.deletionGracePeriodSeconds
  std::vector<ContainerSpec> init_containers;
  std::vector<ContainerSpec> containers;
  Json source;  ///< the whole object
  RestartPolicy restart_policy = RestartPolicy::kAlways;
  Duration termination_grace = Duration::seconds(30);
  std::optional<Duration> active_deadline;
  std::string hostname;
  std::string subdomain;
  bool host_network = false;
  bool host_pid = false;
  bool host_ipc = false;
  bool share_process_namespace = false;
  std::string service_account;
  std::optional<int64_t> fs_group;
  std::vector<int64_t> supplemental_groups;
  QosClass qos = QosClass::kBestEffort;
  std::string ingress_bandwidth, egress_bandwidth;
  std::vector<AssignedDevice> devices;  ///< annotation berth.dev/devices

  const ContainerSpec* find_container(std::string_view name) const;
};

/// Reads a pod that the API server accepted. Fails on what the node cannot do, such as host
/// namespaces with a volume kind that it does not know.
Result<PodSpec> read_pod(const Json& object);

/// Requests of the pod as the scheduler counts them: the sum over containers and sidecars, or the
/// largest init container, whichever is more.
ResourceAmounts pod_requests(const PodSpec& pod);
/// What the pod's cgroup is held to: the sum of the limits, for a resource that every container
/// limits.
CgroupLimits pod_cgroup_limits(const PodSpec& pod, int64_t pids_limit);
CgroupLimits container_cgroup_limits(const ContainerSpec& container);

/// The annotation `berth.dev/devices`: {"nvidia.com/gpu":[{"id":"gpu-0","milli":1000}]}.
Result<std::vector<AssignedDevice>> read_assigned_devices(std::string_view annotation);

}  // namespace berth::node
