#include "apiserver/api/admission.h"

#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

#include "apiserver/api/lifecycle.h"
#include "apiserver/api/objects_api.h"
#include "apiserver/api/service_addresses.h"

namespace berth::apiserver {
namespace {

using objects::find;
using objects::find_array;
using objects::find_bool;
using objects::find_int;
using objects::find_string;

constexpr std::string_view kPriorityClasses = "priorityclasses.scheduling.k8s.io";

bool is(const objects::Kind& kind, std::string_view group, std::string_view name) {
  return kind.group == group && kind.kind == name;
}

Answer<> check_namespace(const Transaction& transaction, const Subject& subject) {
  if (!subject.kind->namespaced) return {};
  const StoredPtr ns = transaction.get({"namespaces", "", subject.ns});
  if (!ns) {
    Status status =
        Status::of(404, "NotFound", fmt::format("namespaces \"{}\" not found", subject.ns));
    status.kind = "namespaces";
    status.name = subject.ns;
    return std::unexpected(std::move(status));
  }
  // Events may still tell what happens to what is going.
  if (is_deleting(*ns->tree()) && resource_of(*subject.kind) != "events") {
    auto refused =
        forbidden(*subject.kind, subject.name,
                  fmt::format("unable to create new content in namespace {} because it is being "
                              "terminated",
                              subject.ns));
    refused.error().causes = {{"NamespaceTerminating",
                               fmt::format("namespace {} is being terminated", subject.ns),
                               "metadata.namespace"}};
    return refused;
  }
  return {};
}

/// The class that pods without one get, or null.
SharedJson default_priority_class(const Transaction& transaction) {
  SharedJson chosen;
  transaction.for_each(kPriorityClasses, "", [&](const StoreKey&, const StoredPtr& stored) {
    const SharedJson candidate = stored->tree();
    if (find_bool(*candidate, {"globalDefault"}) &&
        (!chosen || find_int(*candidate, {"value"}) < find_int(*chosen, {"value"}))) {
      chosen = candidate;
    }
    return true;
  });
  return chosen;
}

Answer<> set_priority(const Transaction& transaction, const Subject& subject, Json& pod) {
  const std::string name(find_string(pod, {"spec", "priorityClassName"}));
  SharedJson chosen;
  if (name.empty()) {
    chosen = default_priority_class(transaction);
  } else if (const StoredPtr stored = transaction.get({std::string(kPriorityClasses), "", name})) {
    chosen = stored->tree();
  } else {
    return forbidden(*subject.kind, subject.name,
                     fmt::format("no PriorityClass with name {} was found", name));
  }
  const int64_t priority = chosen ? find_int(*chosen, {"value"}) : 0;
  const Json* given = find(pod, {"spec", "priority"});
  if (given != nullptr && find_int(pod, {"spec", "priority"}) != priority) {
    return forbidden(*subject.kind, subject.name,
                     fmt::format("the integer value of priority ({}) must not be provided in pod "
                                 "spec; priority admission controller computed {} from the given "
                                 "PriorityClass name",
                                 find_int(pod, {"spec", "priority"}), priority));
  }
  JsonObject& spec = objects::ensure_object(pod, {"spec"});
  spec["priority"] = priority;
  if (chosen) spec["priorityClassName"] = objects::name_of(*chosen);
  if (find(pod, {"spec", "preemptionPolicy"}) == nullptr) {
    spec["preemptionPolicy"] =
        chosen ? find_string(*chosen, {"preemptionPolicy"}, "PreemptLowerPriority")
               : "PreemptLowerPriority";
  }
  return {};
}

void visit_containers(const Json& pod, const auto& visit) {
  for (const std::string_view list : {"initContainers", "containers", "ephemeralContainers"}) {
    const JsonArray& containers = find_array(pod, {"spec", list});
    for (size_t i = 0; i < containers.size(); ++i) {
      visit(fmt::format("spec.{}[{}]", list, i), containers[i]);
    }
  }
}

/// What the "baseline" Pod Security Standard allows containers to add.
constexpr std::array<std::string_view, 13> kHarmlessCapabilities = {
    "AUDIT_WRITE",      "CHOWN",   "DAC_OVERRIDE", "FOWNER",  "FSETID", "KILL",      "MKNOD",
    "NET_BIND_SERVICE", "SETFCAP", "SETGID",       "SETPCAP", "SETUID", "SYS_CHROOT"};

}  // namespace

Answer<> check_pod_security(const Subject& subject, const Json& pod, const Caller& caller) {
  if (caller.admin) return {};
  objects::Issues issues;
  const auto refuse = [&](std::string path, std::string what) {
    issues.push_back({objects::Issue::Kind::kForbidden, std::move(path), std::move(what),
                      "ask an administrator to run it"});
  };
  for (const std::string_view field : {"hostNetwork", "hostPID", "hostIPC"}) {
    if (find_bool(pod, {"spec", field})) refuse(fmt::format("spec.{}", field), "is not allowed");
  }
  const auto own_id = [&](const Json& at) {
    const Json* id = find(at, {"securityContext", "runAsUser"});
    return id == nullptr || (caller.uid && find_int(at, {"securityContext", "runAsUser"}, -1) ==
                                               static_cast<int64_t>(*caller.uid));
  };
  bool runs_as_caller = caller.uid && find(pod, {"spec", "securityContext", "runAsUser"}) &&
                        own_id(*find(pod, {"spec"}));
  visit_containers(pod, [&](const std::string& path, const Json& container) {
    if (find_bool(container, {"securityContext", "privileged"})) {
      refuse(path + ".securityContext.privileged", "is not allowed");
    }
    for (const Json& added : find_array(container, {"securityContext", "capabilities", "add"})) {
      const std::string_view name = find_string(added, {});
      if (std::ranges::find(kHarmlessCapabilities, name) == kHarmlessCapabilities.end()) {
        refuse(path + ".securityContext.capabilities.add", fmt::format("{} is not allowed", name));
      }
    }
    for (const Json& port : find_array(container, {"ports"})) {
      if (find_int(port, {"hostPort"}) != 0) refuse(path + ".ports.hostPort", "is not allowed");
    }
    runs_as_caller = runs_as_caller && own_id(container);
  });
  const JsonArray& volumes = find_array(pod, {"spec", "volumes"});
  for (size_t i = 0; i < volumes.size(); ++i) {
    if (find(volumes[i], {"hostPath"}) == nullptr || runs_as_caller) continue;
    refuse(fmt::format("spec.volumes[{}].hostPath", i),
           "is allowed only with securityContext.runAsUser set to your own user id, through the "
           "local socket");
  }
  if (issues.empty()) return {};
  auto refused = forbidden(*subject.kind, subject.name, "it would give its user the machine");
  refused.error().message += ": " + issues.front().to_string();
  for (const objects::Issue& issue : issues) {
    refused.error().causes.push_back({"FieldValueForbidden", issue.what, issue.path});
  }
  return refused;
}

Answer<> admit_new(Transaction& transaction, const Subject& subject, Json& object,
                   const WriteContext& context, const Surroundings& surroundings) {
  const objects::Kind& kind = *subject.kind;
  if (auto good = check_namespace(transaction, subject); !good) return good;
  if (is(kind, "", "Pod")) {
    if (auto good = check_pod_security(subject, object, context.caller); !good) return good;
    if (auto good = set_priority(transaction, subject, object); !good) return good;
    JsonObject& status = objects::ensure_object(object, {"status"});
    if (!status.contains("phase")) status["phase"] = "Pending";
  } else if (is(kind, "", "Namespace")) {
    const std::string name(objects::name_of(object));  // making the labels moves what holds it
    objects::ensure_object(object, {"metadata", "labels"})["kubernetes.io/metadata.name"] = name;
    objects::ensure_object(object, {"status"})["phase"] = "Active";
  } else if (is(kind, "", "Service")) {
    return give_service_address(transaction, subject, object, surroundings.services);
  } else if (is(kind, "", "Event")) {
    if (find(object, {"firstTimestamp"}) == nullptr && find(object, {"eventTime"}) == nullptr) {
      object.as_object()["firstTimestamp"] = format_time(surroundings.now);
    }
  }
  return {};
}

std::vector<std::pair<StoreKey, Json>> initial_objects() {
  std::vector<std::pair<StoreKey, Json>> initial;
  for (const std::string_view name : {"default", "kube-system", "berth-system"}) {
    initial.emplace_back(
        StoreKey{"namespaces", "", std::string(name)},
        JsonObject{
            {"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", JsonObject{{"name", name}}}});
  }
  initial.emplace_back(StoreKey{"queues.berth.dev", "", "default"},
                       JsonObject{{"apiVersion", "berth.dev/v1alpha1"},
                                  {"kind", "Queue"},
                                  {"metadata", JsonObject{{"name", "default"}}},
                                  {"spec", JsonObject{{"weight", 1}}}});
  for (const auto& [name, value] : {std::pair("system-cluster-critical", 2'000'000'000),
                                    std::pair("system-node-critical", 2'000'001'000)}) {
    initial.emplace_back(
        StoreKey{std::string(kPriorityClasses), "", name},
        JsonObject{{"apiVersion", "scheduling.k8s.io/v1"},
                   {"kind", "PriorityClass"},
                   {"metadata", JsonObject{{"name", name}}},
                   {"value", value},
                   {"description", "For what the machine cannot do without; preempts all else."}});
  }
  return initial;
}

}  // namespace berth::apiserver
