#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/quantity.h"
#include "base/text.h"
#include "objects/names.h"
#include "objects/validate/rules.h"

// Source: k8s.io/kubernetes/pkg/apis/core/validation.

namespace berth::objects {
namespace {

using Names = std::set<std::string_view>;

constexpr std::array<std::string_view, 3> kContainerLists = {"containers", "initContainers",
                                                             "ephemeralContainers"};

std::string known(const Names& names) {
  return names.empty() ? "there are none" : fmt::format("there are: {}", fmt::join(names, ", "));
}

/// What to write instead of an unknown name.
std::string instead(std::string_view name, const Names& names) {
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  const std::string_view meant = closest(name, candidates);
  return meant.empty() ? known(names) : fmt::format("did you mean `{}`?", meant);
}

Names names_in(const JsonArray& list) {
  Names names;
  for (const Json& item : list)
    if (const JsonObject* object = item.if_object())
      if (const std::string_view name = text_of(*object, "name"); !name.empty()) names.insert(name);
  return names;
}

/// Exactly one of the members other than those named may be set.
void check_one_of(const JsonObject& object, IssueSink& sink,
                  std::span<const std::string_view> others, bool required, std::string_view what) {
  std::vector<std::string_view> set;
  for (const auto& [key, value] : object)
    if (!value.is_null() && std::ranges::find(others, std::string_view(key)) == others.end())
      set.push_back(key);
  std::ranges::sort(set);
  if (set.size() > 1)
    sink.add(Issue::Kind::kForbidden,
             fmt::format("may have only one {}, not {}", what, fmt::join(set, " and ")),
             "remove the others");
  if (required && set.empty())
    sink.add(Issue::Kind::kRequired, fmt::format("has no {}", what), "give it one");
}

void check_mounts(const JsonObject& container, const Names& volumes, IssueSink& sink) {
  const JsonArray& mounts = array_of(container, "volumeMounts");
  const PathScope list(sink.path, "volumeMounts");
  for (size_t i = 0; i < mounts.size(); ++i) {
    const JsonObject* mount = mounts[i].if_object();
    if (mount == nullptr) continue;
    const PathScope item(sink.path, i);
    const std::string_view name = text_of(*mount, "name");
    if (!name.empty() && !volumes.contains(name))
      sink.add(Issue::Kind::kInvalid, "name", fmt::format("there is no volume `{}`", name),
               volumes.empty() ? "add it under spec.volumes" : instead(name, volumes));
    const std::string_view path = text_of(*mount, "mountPath");
    if (path.find(':') != std::string_view::npos)
      sink.add(Issue::Kind::kInvalid, "mountPath", "must not contain `:`", "");
    if (!text_of(*mount, "subPath").empty() && !text_of(*mount, "subPathExpr").empty())
      sink.add(Issue::Kind::kInvalid, "subPathExpr", "cannot be used with `subPath`",
               "remove one of them");
    for (std::string_view sub : {"subPath", "subPathExpr"}) {
      const std::string_view text = text_of(*mount, sub);
      const auto parts = split(text, '/');
      if (text.starts_with('/') || std::ranges::find(parts, "..") != parts.end())
        sink.add(Issue::Kind::kInvalid, sub, "must be a relative path without `..`", "");
    }
  }
}

void check_containers(const JsonObject& spec, std::string_view list_name, const Names& volumes,
                      Names& seen, IssueSink& sink) {
  const JsonArray& containers = array_of(spec, list_name);
  const PathScope list(sink.path, list_name);
  for (size_t i = 0; i < containers.size(); ++i) {
    const JsonObject* container = containers[i].if_object();
    if (container == nullptr) continue;
    const PathScope item(sink.path, i);
    check_mounts(*container, volumes, sink);
    const std::string_view name = text_of(*container, "name");
    // Twice in one list is found by the list's key.
    if (!name.empty() && !seen.insert(name).second &&
        std::ranges::count_if(containers, [name](const Json& other) {
          return other.is_object() && text_of(other.get_object(), "name") == name;
        }) == 1)
      sink.add(Issue::Kind::kDuplicate, "name", fmt::format("`{}` is used twice", name),
               "init containers and containers share their names: give each its own");
    if (list_name != "initContainers") continue;
    if (text_of(*container, "restartPolicy") == "Always") continue;
    for (std::string_view probe : {"livenessProbe", "readinessProbe", "startupProbe", "lifecycle"})
      if (member(*container, probe) != nullptr)
        sink.add(Issue::Kind::kForbidden, probe, "may not be set for an init container",
                 "remove it, or set the container's `restartPolicy: Always` (a sidecar)");
  }
}

void check_container_ports(const JsonObject& spec, IssueSink& sink) {
  Names port_names;
  std::set<std::string> host_ports;
  const bool on_host = is_true(spec, "hostNetwork");
  const JsonArray& containers = array_of(spec, "containers");
  const PathScope list(sink.path, "containers");
  for (size_t i = 0; i < containers.size(); ++i) {
    if (!containers[i].is_object()) continue;
    const PathScope container(sink.path, i);
    const JsonArray& ports = array_of(containers[i].get_object(), "ports");
    const PathScope port_list(sink.path, "ports");
    for (size_t j = 0; j < ports.size(); ++j) {
      const JsonObject* port = ports[j].if_object();
      if (port == nullptr) continue;
      const PathScope item(sink.path, j);
      const std::string_view name = text_of(*port, "name");
      if (!name.empty() && !port_names.insert(name).second)
        sink.add(Issue::Kind::kDuplicate, "name", fmt::format("`{}` is used twice", name),
                 "give each port of the pod its own name");
      const Json* host = member(*port, "hostPort");
      const Json* inside = member(*port, "containerPort");
      if (host == nullptr || !host->is_int64() || host->get_int64() == 0) continue;
      if (on_host && inside != nullptr && *inside != *host)
        sink.add(Issue::Kind::kInvalid, "hostPort",
                 "must be the containerPort when `hostNetwork` is true", "remove hostPort");
      const std::string key = fmt::format("{}/{}/{}", host->get_int64(), text_of(*port, "protocol"),
                                          text_of(*port, "hostIP"));
      if (!host_ports.insert(key).second)
        sink.add(Issue::Kind::kDuplicate, "hostPort",
                 fmt::format("{} is used twice", host->get_int64()), "use each host port once");
    }
  }
}

void pod_spec(const JsonObject& spec, IssueSink& sink) {
  const Names volumes = names_in(array_of(spec, "volumes"));
  Names seen;
  for (std::string_view list : kContainerLists) check_containers(spec, list, volumes, seen, sink);
  check_container_ports(spec, sink);
  if (text_of(spec, "dnsPolicy") == "None" &&
      array_of(object_of(spec, "dnsConfig"), "nameservers").empty())
    sink.add(Issue::Kind::kRequired, "dnsConfig", "must name a server when `dnsPolicy` is None",
             "set dnsConfig.nameservers");
  if (is_true(spec, "shareProcessNamespace") && is_true(spec, "hostPID"))
    sink.add(Issue::Kind::kInvalid, "shareProcessNamespace", "cannot be used with `hostPID`",
             "remove one of them");
  const std::string_view old_name = text_of(spec, "serviceAccount");
  const std::string_view new_name = text_of(spec, "serviceAccountName");
  if (!old_name.empty() && !new_name.empty() && old_name != new_name)
    sink.add(Issue::Kind::kInvalid, "serviceAccount", "differs from `serviceAccountName`",
             "remove it: it is the old name of the same field");
}

void check_probe(const JsonObject& container, std::string_view name, IssueSink& sink) {
  const Json* probe = member(container, name);
  if (probe == nullptr || !probe->is_object()) return;
  const PathScope scope(sink.path, name);
  static constexpr std::array<std::string_view, 6> kTimes = {
      "initialDelaySeconds", "periodSeconds",  "successThreshold",
      "failureThreshold",    "timeoutSeconds", "terminationGracePeriodSeconds"};
  check_one_of(probe->get_object(), sink, kTimes, true,
               "handler (exec, httpGet, tcpSocket or grpc)");
  const Json* successes = member(probe->get_object(), "successThreshold");
  if (name != "readinessProbe" && successes != nullptr && *successes != Json(1))
    sink.add(Issue::Kind::kInvalid, "successThreshold", "must be 1 for this probe", "");
  if (name == "readinessProbe" &&
      member(probe->get_object(), "terminationGracePeriodSeconds") != nullptr)
    sink.add(Issue::Kind::kInvalid, "terminationGracePeriodSeconds",
             "must not be set for a readiness probe", "remove it");
}

void check_port_reference(const JsonObject& container, std::string_view probe, IssueSink& sink) {
  const JsonObject& handler = object_of(container, probe);
  for (std::string_view kind : {"httpGet", "tcpSocket"}) {
    const std::string_view port = text_of(object_of(handler, kind), "port");
    if (port.empty()) continue;
    const Names names = names_in(array_of(container, "ports"));
    if (names.contains(port)) continue;
    const PathScope outer(sink.path, probe);
    const PathScope inner(sink.path, kind);
    if (port.find_first_not_of("0123456789") == std::string_view::npos) {
      sink.add(Issue::Kind::kInvalid, "port", fmt::format("`{}` is read as a port's name", port),
               "write the number without quotes");
    } else {
      sink.add(Issue::Kind::kInvalid, "port", fmt::format("the container has no port `{}`", port),
               instead(port, names));
    }
  }
}

void container(const JsonObject& object, IssueSink& sink) {
  for (std::string_view probe : {"livenessProbe", "readinessProbe", "startupProbe"}) {
    check_probe(object, probe, sink);
    check_port_reference(object, probe, sink);
  }
  const std::string_view image = text_of(object, "image");
  if (!image.empty() && trim(image) != image)
    sink.add(Issue::Kind::kInvalid, "image", "must not begin or end with spaces", "");
}

void lifecycle_handler(const JsonObject& object, IssueSink& sink) {
  check_one_of(object, sink, {}, true, "handler (exec, httpGet, sleep or tcpSocket)");
}

bool is_extended(std::string_view resource) {
  return resource.find('/') != std::string_view::npos &&
         resource.find("kubernetes.io/") == std::string_view::npos;
}

void resources(const JsonObject& object, IssueSink& sink) {
  const JsonObject& requests = object_of(object, "requests");
  const JsonObject& limits = object_of(object, "limits");
  for (const auto& [key, value] : requests) {
    const std::string_view name = key;
    const auto request = Quantity::parse(text_of(requests, name));
    const Json* limit_text = limits.if_contains(name);
    const PathScope scope(sink.path, "requests");
    if (is_extended(name) && limit_text == nullptr)
      sink.add(Issue::Kind::kRequired, name, "an extended resource needs a limit, too",
               fmt::format("set limits[{}] to the same number", name));
    if (!request || limit_text == nullptr || !limit_text->is_string()) continue;
    const auto limit = Quantity::parse(limit_text->get_string());
    if (!limit) continue;
    if (*request > *limit)
      sink.add(
          Issue::Kind::kInvalid, name,
          fmt::format("{} is more than the limit of {}", request->to_string(), limit->to_string()),
          "raise the limit or lower the request");
    if (is_extended(name) && *request < *limit)
      sink.add(Issue::Kind::kInvalid, name,
               fmt::format("{} differs from the limit of {}: an extended resource is not shared",
                           request->to_string(), limit->to_string()),
               "set both to the same number");
  }
  for (std::string_view list : {"requests", "limits"}) {
    const PathScope scope(sink.path, list);
    for (const auto& [key, value] : object_of(object, list)) {
      const std::string_view name = key;
      const auto quantity =
          value.is_string() ? Quantity::parse(value.get_string()) : Result<Quantity>(Quantity());
      if (is_extended(name) && quantity && quantity->milli() % 1000 != 0)
        sink.add(Issue::Kind::kInvalid, name, "must be a whole number",
                 "for a share of one device, use the annotation berth.dev/gpu-fraction");
      static constexpr std::array<std::string_view, 3> kNative = {"cpu", "memory",
                                                                  "ephemeral-storage"};
      const bool native =
          std::ranges::find(kNative, name) != kNative.end() || name.starts_with("hugepages-");
      if (native || name.find('/') != std::string_view::npos) continue;
      const std::string_view meant = closest(name, kNative);
      sink.add(Issue::Kind::kInvalid, name, fmt::format("`{}` is not a resource", name),
               meant.empty() ? "use cpu, memory, ephemeral-storage, or a name such as "
                               "nvidia.com/gpu"
                             : fmt::format("did you mean `{}`?", meant));
    }
  }
}

void check_huge_pages(const JsonObject& object, IssueSink& sink) {
  const JsonObject& limits = object_of(object, "limits");
  const bool huge = std::ranges::any_of(limits, [](const auto& each) {
    return std::string_view(each.key()).starts_with("hugepages-");
  });
  if (huge && !limits.contains("cpu") && !limits.contains("memory"))
    sink.add(Issue::Kind::kForbidden, "huge pages need cpu or memory, too",
             "set limits.memory, for example");
}

void container_resources(const JsonObject& object, IssueSink& sink) {
  resources(object, sink);
  check_huge_pages(object, sink);
}

void security_context(const JsonObject& object, IssueSink& sink) {
  const Json* escalation = member(object, "allowPrivilegeEscalation");
  if (is_true(object, "privileged") && escalation != nullptr && *escalation == Json(false))
    sink.add(Issue::Kind::kInvalid, "allowPrivilegeEscalation",
             "cannot be false when `privileged` is true", "remove one of them");
}

void local_profile(const JsonObject& object, IssueSink& sink) {
  const bool local = text_of(object, "type") == "Localhost";
  const bool named = !text_of(object, "localhostProfile").empty();
  if (local && !named)
    sink.add(Issue::Kind::kRequired, "localhostProfile", "must be set when the type is Localhost",
             "");
  if (!local && named)
    sink.add(Issue::Kind::kInvalid, "localhostProfile",
             "may only be set when the type is Localhost", "remove it");
}

void pod_security_context(const JsonObject& object, IssueSink& sink) {
  const JsonArray& groups = array_of(object, "supplementalGroups");
  const PathScope list(sink.path, "supplementalGroups");
  for (size_t i = 0; i < groups.size(); ++i)
    if (groups[i].is_int64() && (groups[i].get_int64() < 0 || groups[i].get_int64() > INT32_MAX)) {
      const PathScope item(sink.path, i);
      sink.add(Issue::Kind::kInvalid, "must be between 0 and 2147483647");
    }
}

void empty_dir(const JsonObject& object, IssueSink& sink) {
  const auto size = Quantity::parse(text_of(object, "sizeLimit"));
  if (size && size->milli() < 0)
    sink.add(Issue::Kind::kForbidden, "sizeLimit", "must not be negative", "");
}

void dns_config(const JsonObject& object, IssueSink& sink) {
  const JsonArray& servers = array_of(object, "nameservers");
  const PathScope list(sink.path, "nameservers");
  for (size_t i = 0; i < servers.size(); ++i) {
    if (!servers[i].is_string()) continue;
    const PathScope item(sink.path, i);
    const std::string_view server = servers[i].get_string();
    if (const auto wrong = check_ip(server))
      sink.add(Issue::Kind::kInvalid, fmt::format("`{}` {}", server, *wrong));
  }
}

void volume(const JsonObject& object, IssueSink& sink) {
  static constexpr std::array<std::string_view, 1> kName = {"name"};
  check_one_of(object, sink, kName, true, "source");
}

void env_var(const JsonObject& object, IssueSink& sink) {
  const Json* from = member(object, "valueFrom");
  if (from == nullptr) return;
  if (!text_of(object, "value").empty())
    sink.add(Issue::Kind::kInvalid, "valueFrom", "cannot be used with `value`",
             "remove one of them");
  if (!from->is_object()) return;
  const PathScope scope(sink.path, "valueFrom");
  check_one_of(from->get_object(), sink, {}, true,
               "source (fieldRef, resourceFieldRef, configMapKeyRef or secretKeyRef)");
}

void env_from(const JsonObject& object, IssueSink& sink) {
  static constexpr std::array<std::string_view, 1> kPrefix = {"prefix"};
  check_one_of(object, sink, kPrefix, true, "source (configMapRef or secretRef)");
}

void field_selector(const JsonObject& object, IssueSink& sink) {
  static constexpr std::array<std::string_view, 12> kFields = {"metadata.name",
                                                               "metadata.namespace",
                                                               "metadata.uid",
                                                               "metadata.labels",
                                                               "metadata.annotations",
                                                               "spec.nodeName",
                                                               "spec.serviceAccountName",
                                                               "status.hostIP",
                                                               "status.hostIPs",
                                                               "status.podIP",
                                                               "status.podIPs",
                                                               "status.phase"};
  const std::string_view path = text_of(object, "fieldPath");
  const std::string_view base = path.substr(0, path.find('['));
  if (path.empty() || std::ranges::find(kFields, base) != kFields.end()) return;
  const std::string_view meant = closest(base, kFields);
  sink.add(Issue::Kind::kInvalid, "fieldPath", fmt::format("`{}` is not a field to refer to", path),
           meant.empty() ? "use one such as metadata.name, spec.nodeName or status.podIP"
                         : fmt::format("did you mean `{}`?", meant));
}

void toleration(const JsonObject& object, IssueSink& sink) {
  const std::string_view op = text_of(object, "operator");
  if (text_of(object, "key").empty() && op != "Exists")
    sink.add(Issue::Kind::kInvalid, "operator", "must be Exists when `key` is empty",
             "which tolerates every taint; else set `key`");
  if (op == "Exists" && !text_of(object, "value").empty())
    sink.add(Issue::Kind::kInvalid, "value", "must be empty when the operator is Exists", "");
  if (member(object, "tolerationSeconds") != nullptr && text_of(object, "effect") != "NoExecute")
    sink.add(Issue::Kind::kInvalid, "effect", "must be NoExecute when `tolerationSeconds` is set",
             "");
}

void host_path(const JsonObject& object, IssueSink& sink) {
  const auto parts = split(text_of(object, "path"), '/');
  if (std::ranges::find(parts, "..") != parts.end())
    sink.add(Issue::Kind::kInvalid, "path", "must not contain `..`", "");
}

void key_to_path(const JsonObject& object, IssueSink& sink) {
  const std::string_view path = text_of(object, "path");
  const auto parts = split(path, '/');
  if (path.starts_with('/') || std::ranges::find(parts, "..") != parts.end())
    sink.add(Issue::Kind::kInvalid, "path", "must be a relative path without `..`", "");
}

void downward_file(const JsonObject& object, IssueSink& sink) {
  static constexpr std::array<std::string_view, 2> kOthers = {"path", "mode"};
  check_one_of(object, sink, kOthers, true, "source (fieldRef or resourceFieldRef)");
  key_to_path(object, sink);
}

void node_selector_requirement(const JsonObject& object, IssueSink& sink) {
  const std::string_view op = text_of(object, "operator");
  const size_t count = array_of(object, "values").size();
  if ((op == "In" || op == "NotIn") && count == 0)
    sink.add(Issue::Kind::kRequired, "values",
             fmt::format("must be set when the operator is {}", op), "");
  if ((op == "Exists" || op == "DoesNotExist") && count != 0)
    sink.add(Issue::Kind::kForbidden, "values",
             fmt::format("may not be set when the operator is {}", op), "remove it");
  if ((op == "Gt" || op == "Lt") && count != 1)
    sink.add(Issue::Kind::kRequired, "values",
             fmt::format("must be one number when the operator is {}", op), "");
}

}  // namespace

ValueRule pod_value_rule(std::string_view struct_name) {
  static const std::unordered_map<std::string_view, ValueRule> kRules = {
      {"core.v1.AppArmorProfile", local_profile},
      {"core.v1.Container", container},
      {"core.v1.DownwardAPIVolumeFile", downward_file},
      {"core.v1.EmptyDirVolumeSource", empty_dir},
      {"core.v1.EnvFromSource", env_from},
      {"core.v1.EnvVar", env_var},
      {"core.v1.HostPathVolumeSource", host_path},
      {"core.v1.KeyToPath", key_to_path},
      {"core.v1.LifecycleHandler", lifecycle_handler},
      {"core.v1.NodeSelectorRequirement", node_selector_requirement},
      {"core.v1.ObjectFieldSelector", field_selector},
      {"core.v1.PodDNSConfig", dns_config},
      {"core.v1.PodSecurityContext", pod_security_context},
      {"core.v1.PodSpec", pod_spec},
      {"core.v1.ResourceRequirements", container_resources},
      {"core.v1.SeccompProfile", local_profile},
      {"core.v1.SecurityContext", security_context},
      {"core.v1.Toleration", toleration},
      {"core.v1.Volume", volume},
      {"meta.v1.LabelSelectorRequirement", node_selector_requirement},
  };
  const auto at = kRules.find(struct_name);
  return at != kRules.end() ? at->second : nullptr;
}

}  // namespace berth::objects
