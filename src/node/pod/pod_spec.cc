#include "node/pod/pod_spec.h"

#include <algorithm>
#include <charconv>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "base/quantity.h"
#include "base/text.h"

namespace berth::node {
namespace {

using objects::find;
using objects::find_array;
using objects::find_bool;
using objects::find_int;
using objects::find_object;
using objects::find_string;

std::string text(const Json& root, std::initializer_list<std::string_view> path,
                 std::string_view fallback = {}) {
  return std::string(find_string(root, path, fallback));
}

std::optional<int64_t> optional_int(const Json& root,
                                    std::initializer_list<std::string_view> path) {
  const Json* at = find(root, path);
  if (at == nullptr || !at->is_number()) return std::nullopt;
  return find_int(root, path);
}

std::vector<std::string> strings(const JsonArray& array) {
  std::vector<std::string> out;
  for (const Json& item : array)
    if (item.is_string()) out.emplace_back(std::string_view(item.get_string()));
  return out;
}

std::optional<std::vector<std::string>> optional_strings(const Json& root, std::string_view key) {
  const Json* at = find(root, {key});
  if (at == nullptr || !at->is_array()) return std::nullopt;
  return strings(at->get_array());
}

std::map<std::string, std::string> string_map(const JsonObject& object) {
  std::map<std::string, std::string> out;
  for (const auto& [key, value] : object)
    if (value.is_string()) out.emplace(key, std::string_view(value.get_string()));
  return out;
}

/// A quantity may be written as a string or as a number.
Result<Quantity> quantity(const Json& value) {
  if (value.is_string()) return Quantity::parse(std::string_view(value.get_string()));
  if (value.is_int64()) return Quantity::from_units(value.get_int64());
  if (value.is_double())
    return Quantity::from_milli(static_cast<int64_t>(value.get_double() * 1000));
  return fail(ErrorCode::kInvalid, "not a quantity");
}

Result<> read_amounts(const JsonObject& amounts, ResourceAmounts& out,
                      std::map<std::string, int64_t>& extended) {
  for (const auto& [key, value] : amounts) {
    BERTH_TRY(const Quantity amount, quantity(value));
    if (key == "cpu")
      out.cpu_milli = amount.milli();
    else if (key == "memory")
      out.memory_bytes = amount.units();
    else if (key == "ephemeral-storage")
      out.ephemeral_storage_bytes = amount.units();
    else if (std::string_view(key).find('/') != std::string_view::npos)
      extended[key] = amount.units();
  }
  return {};
}

/// A port as a number, or as the name of one of the container's ports.
int port_of(const Json* value, const Json& container) {
  if (value == nullptr) return 0;
  if (value->is_int64()) return static_cast<int>(value->get_int64());
  if (!value->is_string()) return 0;
  const std::string_view name = value->get_string();
  for (const Json& port : find_array(container, {"ports"}))
    if (find_string(port, {"name"}) == name)
      return static_cast<int>(find_int(port, {"containerPort"}));
  return std::atoi(std::string(name).c_str());
}

std::optional<Handler> read_handler(const Json& source, const Json& container) {
  Handler out;
  if (find(source, {"exec"}) != nullptr) {
    out.kind = Handler::Kind::kExec;
    out.command = strings(find_array(source, {"exec", "command"}));
    return out;
  }
  for (const std::string_view key : {"httpGet", "tcpSocket"}) {
    const Json* at = find(source, {key});
    if (at == nullptr) continue;
    out.kind = key == "httpGet" ? Handler::Kind::kHttpGet : Handler::Kind::kTcpSocket;
    out.host = text(*at, {"host"});
    out.port = port_of(find(*at, {"port"}), container);
    out.path = text(*at, {"path"}, "/");
    out.https = find_string(*at, {"scheme"}) == "HTTPS";
    for (const Json& header : find_array(*at, {"httpHeaders"}))
      out.headers.emplace_back(text(header, {"name"}), text(header, {"value"}));
    return out;
  }
  if (find(source, {"sleep"}) != nullptr) {
    out.kind = Handler::Kind::kSleep;
    out.sleep = Duration::seconds(find_int(source, {"sleep", "seconds"}));
    return out;
  }
  return std::nullopt;
}

Result<std::optional<Probe>> read_probe(const Json& container, std::string_view key) {
  const Json* source = find(container, {key});
  if (source == nullptr || !source->is_object()) return std::nullopt;
  auto handler = read_handler(*source, container);
  if (!handler)
    return fail(ErrorCode::kUnsupported, "a probe is exec, httpGet or tcpSocket here",
                fmt::format("{}.{}", find_string(container, {"name"}), key));
  Probe out;
  out.handler = *std::move(handler);
  out.initial_delay = Duration::seconds(find_int(*source, {"initialDelaySeconds"}));
  out.period = Duration::seconds(std::max<int64_t>(find_int(*source, {"periodSeconds"}, 10), 1));
  out.timeout = Duration::seconds(std::max<int64_t>(find_int(*source, {"timeoutSeconds"}, 1), 1));
  out.success_threshold = std::max(1, static_cast<int>(find_int(*source, {"successThreshold"}, 1)));
  out.failure_threshold = std::max(1, static_cast<int>(find_int(*source, {"failureThreshold"}, 3)));
  if (const auto grace = optional_int(*source, {"terminationGracePeriodSeconds"}))
    out.grace = Duration::seconds(*grace);
  return out;
}

SeccompChoice read_seccomp(const Json* profile, const SeccompChoice& fallback) {
  if (profile == nullptr) return fallback;
  const std::string_view type = find_string(*profile, {"type"});
  if (type == "Unconfined") return {SeccompChoice::Kind::kUnconfined, {}};
  if (type == "Localhost")
    return {SeccompChoice::Kind::kLocalhost, text(*profile, {"localhostProfile"})};
  return {};
}

std::vector<std::string> capability_names(const JsonArray& array) {
  std::vector<std::string> out;
  for (std::string& name : strings(array)) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    out.push_back(name == "ALL" || name.starts_with("CAP_") ? name : "CAP_" + name);
  }
  return out;
}

void read_security(const Json& container, const Json& pod_context, ContainerSpec& out) {
  const Json* own = find(container, {"securityContext"});
  const Json none = JsonObject{};
  const Json& context = own == nullptr ? none : *own;
  const auto either_int = [&](std::string_view key) {
    const auto value = optional_int(context, {key});
    return value ? value : optional_int(pod_context, {key});
  };
  out.run_as_user = either_int("runAsUser");
  out.run_as_group = either_int("runAsGroup");
  out.run_as_non_root =
      find_bool(context, {"runAsNonRoot"}, find_bool(pod_context, {"runAsNonRoot"}));
  out.read_only_root = find_bool(context, {"readOnlyRootFilesystem"}, true);
  out.privileged = find_bool(context, {"privileged"});
  out.allow_privilege_escalation =
      out.privileged || find_bool(context, {"allowPrivilegeEscalation"});
  out.capabilities_added = capability_names(find_array(context, {"capabilities", "add"}));
  out.capabilities_dropped = capability_names(find_array(context, {"capabilities", "drop"}));
  out.seccomp = read_seccomp(find(context, {"seccompProfile"}),
                             read_seccomp(find(pod_context, {"seccompProfile"}), {}));
  out.unmasked_proc = find_string(context, {"procMount"}) == "Unmasked";
}

PullPolicy read_pull_policy(const Json& container) {
  const std::string_view policy = find_string(container, {"imagePullPolicy"});
  if (policy == "Always") return PullPolicy::kAlways;
  if (policy == "Never") return PullPolicy::kNever;
  return PullPolicy::kIfNotPresent;
}

Result<ContainerSpec> read_container(const Json& source, const Json& pod_context, bool init) {
  ContainerSpec out;
  out.source = source;
  out.name = text(source, {"name"});
  out.image = text(source, {"image"});
  out.pull_policy = read_pull_policy(source);
  out.command = optional_strings(source, "command");
  out.args = optional_strings(source, "args");
  out.working_dir = text(source, {"workingDir"});
  out.init = init;
  out.sidecar = init && find_string(source, {"restartPolicy"}) == "Always";
  BERTH_CHECK(read_amounts(find_object(source, {"resources", "limits"}), out.limits, out.extended));
  BERTH_CHECK(
      read_amounts(find_object(source, {"resources", "requests"}), out.requests, out.extended));
  // A limit alone is a request too.
  if (!out.requests.cpu_milli) out.requests.cpu_milli = out.limits.cpu_milli;
  if (!out.requests.memory_bytes) out.requests.memory_bytes = out.limits.memory_bytes;
  for (const Json& mount : find_array(source, {"volumeMounts"})) {
    VolumeMount m;
    m.name = text(mount, {"name"});
    m.mount_path = text(mount, {"mountPath"});
    m.sub_path_expanded = find(mount, {"subPathExpr"}) != nullptr;
    m.sub_path = text(mount, {m.sub_path_expanded ? "subPathExpr" : "subPath"});
    m.read_only = find_bool(mount, {"readOnly"});
    out.mounts.push_back(std::move(m));
  }
  BERTH_TRY(out.startup, read_probe(source, "startupProbe"));
  BERTH_TRY(out.readiness, read_probe(source, "readinessProbe"));
  BERTH_TRY(out.liveness, read_probe(source, "livenessProbe"));
  if (const Json* hook = find(source, {"lifecycle", "postStart"}))
    out.post_start = read_handler(*hook, source);
  if (const Json* hook = find(source, {"lifecycle", "preStop"}))
    out.pre_stop = read_handler(*hook, source);
  out.stop_signal = text(source, {"lifecycle", "stopSignal"});
  out.termination_message_path = text(source, {"terminationMessagePath"}, "/dev/termination-log");
  out.message_from_logs =
      find_string(source, {"terminationMessagePolicy"}) == "FallbackToLogsOnError";
  out.open_stdin = find_bool(source, {"stdin"});
  out.terminal = find_bool(source, {"tty"});
  read_security(source, pod_context, out);
  return out;
}

/// Volumes that show what the API has are for reading.
void protect_projections(const Json& object, PodSpec& pod) {
  for (const Json& volume : find_array(object, {"spec", "volumes"})) {
    constexpr std::string_view kProjections[] = {"configMap", "secret", "projected", "downwardAPI"};
    if (std::ranges::none_of(kProjections, [&](auto kind) { return find(volume, {kind}); }))
      continue;
    for (auto* list : {&pod.init_containers, &pod.containers})
      for (ContainerSpec& container : *list)
        for (VolumeMount& mount : container.mounts)
          mount.read_only |= mount.name == find_string(volume, {"name"});
  }
}

/// `8080/metrics running,waiting`: before it is stopped, the container may end what it is
/// answering. A hook that only waits goes before that; any other stays as it is.
void add_drain(std::string_view text, ContainerSpec& container) {
  const size_t slash = text.find('/'), space = text.find(' ');
  Handler drain;
  drain.kind = Handler::Kind::kDrain;
  if (slash == std::string_view::npos || space == std::string_view::npos || space < slash) return;
  const auto read = std::from_chars(text.data(), text.data() + slash, drain.port);
  if (read.ec != std::errc() || read.ptr != text.data() + slash) return;
  drain.path = text.substr(slash, space - slash);
  for (const std::string_view metric : split(text.substr(space + 1), ','))
    drain.busy_metrics.emplace_back(metric);
  if (container.pre_stop && container.pre_stop->kind != Handler::Kind::kSleep) return;
  if (container.pre_stop) drain.sleep = container.pre_stop->sleep;
  container.pre_stop = std::move(drain);
}

/// The API server may not have filled it in: the same rule again.
QosClass qos_of(const PodSpec& pod) {
  bool any = false;
  bool guaranteed = true;
  for (const auto* list : {&pod.init_containers, &pod.containers})
    for (const ContainerSpec& c : *list) {
      any |= c.requests.cpu_milli.value_or(0) > 0 || c.requests.memory_bytes.value_or(0) > 0 ||
             c.limits.cpu_milli.value_or(0) > 0 || c.limits.memory_bytes.value_or(0) > 0;
      guaranteed &= c.limits.cpu_milli.value_or(0) > 0 && c.limits.memory_bytes.value_or(0) > 0 &&
                    c.requests.cpu_milli == c.limits.cpu_milli &&
                    c.requests.memory_bytes == c.limits.memory_bytes;
    }
  if (!any) return QosClass::kBestEffort;
  return guaranteed ? QosClass::kGuaranteed : QosClass::kBurstable;
}

std::optional<int64_t> larger(std::optional<int64_t> a, std::optional<int64_t> b) {
  if (!a) return b;
  return b ? std::max(*a, *b) : a;
}

void add(std::optional<int64_t>& sum, std::optional<int64_t> value) {
  if (value) sum = sum.value_or(0) + *value;
}

}  // namespace

const ContainerSpec* PodSpec::find_container(std::string_view wanted) const {
  for (const auto* list : {&init_containers, &containers})
    for (const ContainerSpec& c : *list)
      if (c.name == wanted) return &c;
  return nullptr;
}

Result<std::vector<AssignedDevice>> read_assigned_devices(std::string_view annotation) {
  std::vector<AssignedDevice> out;
  if (annotation.empty()) return out;
  const auto malformed = [&] {
    return fail(ErrorCode::kInvalid, "not a device assignment",
                "metadata.annotations[berth.dev/devices]", "Berth's scheduler writes it");
  };
  boost::system::error_code parse_error;
  const Json value = boost::json::parse(annotation, parse_error);
  if (parse_error || !value.is_object()) return malformed();
  for (const auto& [resource, list] : value.get_object()) {
    if (!list.is_array()) return malformed();
    for (const Json& item : list.get_array()) {
      AssignedDevice device;
      device.resource = resource;
      device.id = text(item, {"id"});
      device.milli = find_int(item, {"milli"}, 1000);
      device.memory_bytes = find_int(item, {"memoryBytes"});
      if (device.id.empty() || device.milli <= 0 || device.milli > 1000 || device.memory_bytes < 0)
        return malformed();
      out.push_back(std::move(device));
    }
  }
  return out;
}

Result<PodSpec> read_pod(const Json& object) {
  PodSpec out;
  out.source = object;
  out.ns = text(object, {"metadata", "namespace"});
  out.name = text(object, {"metadata", "name"});
  out.uid = text(object, {"metadata", "uid"});
  if (out.ns.empty() || out.name.empty() || out.uid.empty())
    return fail(ErrorCode::kInvalid, "a pod without namespace, name or uid");
  // The uid names folders and cgroups: nothing that could lead elsewhere.
  if (out.uid.find_first_not_of("0123456789abcdefABCDEF-") != std::string::npos ||
      out.uid.size() > 36)
    return fail(ErrorCode::kInvalid, "not a uid", "metadata.uid");
  out.labels = string_map(find_object(object, {"metadata", "labels"}));
  out.annotations = string_map(find_object(object, {"metadata", "annotations"}));
  out.deleting = find(object, {"metadata", "deletionTimestamp"}) != nullptr;
  out.termination_grace =
      Duration::seconds(find_int(object, {"spec", "terminationGracePeriodSeconds"}, 30));
  out.deletion_grace =
      Duration::seconds(find_int(object, {"metadata", "deletionGracePeriodSeconds"},
                                 out.termination_grace.ns / Duration::seconds(1).ns));
  const Json* context = find(object, {"spec", "securityContext"});
  const Json pod_context = context == nullptr ? Json(JsonObject{}) : *context;
  for (const Json& c : find_array(object, {"spec", "initContainers"})) {
    BERTH_TRY(ContainerSpec container, read_container(c, pod_context, true));
    out.init_containers.push_back(std::move(container));
  }
  for (const Json& c : find_array(object, {"spec", "containers"})) {
    BERTH_TRY(ContainerSpec container, read_container(c, pod_context, false));
    out.containers.push_back(std::move(container));
  }
  protect_projections(object, out);
  const std::string_view policy = find_string(object, {"spec", "restartPolicy"});
  if (policy == "Never") out.restart_policy = RestartPolicy::kNever;
  if (policy == "OnFailure") out.restart_policy = RestartPolicy::kOnFailure;
  if (const auto deadline = optional_int(object, {"spec", "activeDeadlineSeconds"}))
    out.active_deadline = Duration::seconds(*deadline);
  out.hostname = text(object, {"spec", "hostname"}, out.name).substr(0, 63);
  while (!out.hostname.empty() && (out.hostname.back() == '-' || out.hostname.back() == '.'))
    out.hostname.pop_back();
  out.subdomain = text(object, {"spec", "subdomain"});
  out.host_network = find_bool(object, {"spec", "hostNetwork"});
  out.host_pid = find_bool(object, {"spec", "hostPID"});
  out.host_ipc = find_bool(object, {"spec", "hostIPC"});
  out.share_process_namespace = find_bool(object, {"spec", "shareProcessNamespace"});
  out.service_account = text(object, {"spec", "serviceAccountName"});
  out.fs_group = optional_int(pod_context, {"fsGroup"});
  for (const Json& group : find_array(pod_context, {"supplementalGroups"}))
    if (group.is_int64()) out.supplemental_groups.push_back(group.get_int64());
  out.qos = qos_of(out);
  const auto annotation = [&](const char* key) {
    const auto found = out.annotations.find(key);
    return found == out.annotations.end() ? std::string() : found->second;
  };
  out.ingress_bandwidth = annotation("kubernetes.io/ingress-bandwidth");
  out.egress_bandwidth = annotation("kubernetes.io/egress-bandwidth");
  BERTH_TRY(out.devices, read_assigned_devices(annotation("berth.dev/devices")));
  if (!out.containers.empty())
    add_drain(annotation("berth.dev/busy-metrics"), out.containers.front());
  return out;
}

ResourceAmounts pod_requests(const PodSpec& pod) {
  ResourceAmounts sum;
  const auto add_all = [](ResourceAmounts& to, const ResourceAmounts& from) {
    add(to.cpu_milli, from.cpu_milli);
    add(to.memory_bytes, from.memory_bytes);
    add(to.ephemeral_storage_bytes, from.ephemeral_storage_bytes);
  };
  for (const ContainerSpec& c : pod.containers) add_all(sum, c.requests);
  ResourceAmounts sidecars;
  ResourceAmounts largest;
  for (const ContainerSpec& c : pod.init_containers) {
    ResourceAmounts now = sidecars;
    add_all(now, c.requests);
    if (c.sidecar) add_all(sidecars, c.requests);
    largest.cpu_milli = larger(largest.cpu_milli, now.cpu_milli);
    largest.memory_bytes = larger(largest.memory_bytes, now.memory_bytes);
    largest.ephemeral_storage_bytes =
        larger(largest.ephemeral_storage_bytes, now.ephemeral_storage_bytes);
  }
  add_all(sum, sidecars);
  return {larger(sum.cpu_milli, largest.cpu_milli), larger(sum.memory_bytes, largest.memory_bytes),
          larger(sum.ephemeral_storage_bytes, largest.ephemeral_storage_bytes)};
}

CgroupLimits pod_cgroup_limits(const PodSpec& pod, int64_t pids_limit) {
  CgroupLimits out;
  out.cpu_shares = shares_from_milli_cpu(pod_requests(pod).cpu_milli.value_or(0));
  out.pids = pids_limit;
  out.io_weight = io_weight_of(pod.qos);
  int64_t cpu = 0;
  int64_t memory = 0;
  bool all_cpu = true;
  bool all_memory = true;
  int64_t init_cpu = 0;
  int64_t init_memory = 0;
  for (const ContainerSpec& c : pod.containers) {
    all_cpu &= c.limits.cpu_milli.has_value();
    all_memory &= c.limits.memory_bytes.has_value();
    cpu += c.limits.cpu_milli.value_or(0);
    memory += c.limits.memory_bytes.value_or(0);
  }
  for (const ContainerSpec& c : pod.init_containers) {
    all_cpu &= c.limits.cpu_milli.has_value();
    all_memory &= c.limits.memory_bytes.has_value();
    (c.sidecar ? cpu : init_cpu) += c.limits.cpu_milli.value_or(0);
    (c.sidecar ? memory : init_memory) += c.limits.memory_bytes.value_or(0);
  }
  out.cpu_quota_us = all_cpu ? quota_from_milli_cpu(std::max(cpu, init_cpu)) : -1;
  out.memory_bytes = all_memory ? std::max(memory, init_memory) : -1;
  return out;
}

CgroupLimits container_cgroup_limits(const ContainerSpec& container) {
  CgroupLimits out;
  out.cpu_shares = shares_from_milli_cpu(container.requests.cpu_milli.value_or(0));
  if (container.limits.cpu_milli)
    out.cpu_quota_us = quota_from_milli_cpu(*container.limits.cpu_milli);
  if (container.limits.memory_bytes) out.memory_bytes = *container.limits.memory_bytes;
  return out;
}

}  // namespace berth::node
