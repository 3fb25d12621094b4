#include "apiserver/api/tenancy.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "objects/names.h"

namespace berth::apiserver {
namespace {

using objects::find;
using objects::find_array;
using objects::find_bool;
using objects::find_int;
using objects::find_string;

constexpr std::string_view kQueues = "queues.berth.dev";
constexpr std::string_view kDefaultQueue = "default";
constexpr std::string_view kFurtherQueues = "berth.dev/queues";

void visit_containers(const Json& pod, const std::string& at, const auto& visit) {
  for (const std::string_view list : {"initContainers", "containers", "ephemeralContainers"}) {
    const JsonArray& containers = find_array(pod, {"spec", list});
    for (size_t i = 0; i < containers.size(); ++i) {
      visit(at + fmt::format("spec.{}[{}]", list, i), containers[i]);
    }
  }
}

/// What the "baseline" Pod Security Standard allows containers to add.
constexpr std::array<std::string_view, 13> kHarmlessCapabilities = {
    "AUDIT_WRITE",      "CHOWN",   "DAC_OVERRIDE", "FOWNER",  "FSETID", "KILL",      "MKNOD",
    "NET_BIND_SERVICE", "SETFCAP", "SETGID",       "SETPCAP", "SETUID", "SYS_CHROOT"};

/// `pod` is a pod or the template of pods at `at`.
void check_pod_security(const Json& pod, const std::string& at, const Caller& caller,
                        objects::Issues& issues) {
  const auto refuse = [&](std::string path, std::string what) {
    issues.push_back({objects::Issue::Kind::kForbidden, std::move(path), std::move(what),
                      "ask an administrator to run it"});
  };
  for (const std::string_view field : {"hostNetwork", "hostPID", "hostIPC"}) {
    if (find_bool(pod, {"spec", field}))
      refuse(at + fmt::format("spec.{}", field), "is not allowed");
  }
  const auto own_id = [&](const Json& holder) {
    const Json* id = find(holder, {"securityContext", "runAsUser"});
    return id == nullptr || (caller.uid && find_int(holder, {"securityContext", "runAsUser"}, -1) ==
                                               static_cast<int64_t>(*caller.uid));
  };
  bool runs_as_caller = caller.uid && find(pod, {"spec", "securityContext", "runAsUser"}) &&
                        own_id(*find(pod, {"spec"}));
  visit_containers(pod, at, [&](const std::string& path, const Json& container) {
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
    refuse(at + fmt::format("spec.volumes[{}].hostPath", i),
           "is allowed only with securityContext.runAsUser set to your own user id, through the "
           "local socket");
  }
}

std::string_view queue_label(const Json& object) {
  for (const std::string_view label : objects::kQueueLabels) {
    const std::string_view queue = find_string(object, {"metadata", "labels", label});
    if (!queue.empty()) return queue;
  }
  return {};
}

void add_queue_labels(const Json& object, const std::string& at,
                      std::map<std::string, std::string>& queues) {
  for (const std::string_view label : objects::kQueueLabels) {
    const std::string_view queue = find_string(object, {"metadata", "labels", label});
    if (!queue.empty())
      queues.try_emplace(std::string(queue), fmt::format("{}metadata.labels[{}]", at, label));
  }
}

/// The queues that an object names, and where.
std::map<std::string, std::string> queues_of(const Json& object) {
  std::map<std::string, std::string> queues;
  add_queue_labels(object, "", queues);
  if (const Json* made = find(object, {"spec", "template"})) {
    add_queue_labels(*made, "spec.template.", queues);
  }
  const std::string_view queue = find_string(object, {"spec", "queue"});
  if (!queue.empty()) queues.try_emplace(std::string(queue), "spec.queue");
  return queues;
}

/// The queue of the pods of a namespace that name none.
std::string queue_of_namespace(const Transaction& transaction, const Json& ns) {
  const std::string_view labelled = queue_label(ns);
  if (!labelled.empty()) return std::string(labelled);
  const std::string name(objects::name_of(ns));
  return transaction.get({std::string(kQueues), "", name}) ? name : std::string(kDefaultQueue);
}

/// Those that a namespace may use, without what is below them.
std::set<std::string, std::less<>> queues_of_namespace(const Transaction& transaction,
                                                       const Json& ns) {
  std::set<std::string, std::less<>> queues{std::string(kDefaultQueue),
                                            queue_of_namespace(transaction, ns)};
  const std::string_view further = find_string(ns, {"metadata", "annotations", kFurtherQueues});
  for (const std::string_view queue : split(further, ',')) {
    if (!trim(queue).empty()) queues.emplace(trim(queue));
  }
  return queues;
}

SharedJson namespace_of(const Transaction& transaction, const std::string& ns) {
  const StoredPtr stored = transaction.get({"namespaces", "", ns});
  return stored ? stored->tree() : std::make_shared<const Json>(nullptr);
}

void check_queues(const Transaction& transaction, const Subject& subject, const Json* before,
                  const Json& object, objects::Issues& issues) {
  std::map<std::string, std::string> named = queues_of(object);
  if (before != nullptr) {
    for (const auto& [queue, at] : queues_of(*before)) named.erase(queue);
  }
  if (named.empty()) return;
  const auto own = queues_of_namespace(transaction, *namespace_of(transaction, subject.ns));
  const auto may_use = [&](std::string queue) {
    std::set<std::string> seen;  // a ring of parents ends too
    while (!queue.empty() && seen.insert(queue).second) {
      if (own.contains(queue)) return true;
      const StoredPtr stored = transaction.get({std::string(kQueues), "", queue});
      queue = stored ? std::string(find_string(*stored->tree(), {"spec", "parent"})) : "";
    }
    return false;
  };
  for (const auto& [queue, at] : named) {
    if (may_use(queue)) continue;
    issues.push_back({objects::Issue::Kind::kForbidden, at,
                      fmt::format("the queue {} is not one that the namespace {} may use ({})",
                                  queue, subject.ns, fmt::join(own, ", ")),
                      fmt::format("ask an administrator: kubectl annotate namespace {} {}={}",
                                  subject.ns, kFurtherQueues, queue)});
  }
}

void check_priority_class(const Json& holder, const std::string& path, objects::Issues& issues) {
  const std::string_view name = find_string(holder, {"spec", "priorityClassName"});
  if (!name.starts_with("system-")) return;
  issues.push_back({objects::Issue::Kind::kForbidden, path + "spec.priorityClassName",
                    fmt::format("{} is for what the machine cannot do without", name),
                    "take another class: `berth get priorityclasses`"});
}

}  // namespace

std::string queue_of(const Transaction& transaction, const std::string& ns, const Json& pod) {
  const std::string_view labelled = queue_label(pod);
  return labelled.empty() ? queue_of_namespace(transaction, *namespace_of(transaction, ns))
                          : std::string(labelled);
}

Answer<> check_tenant(const Transaction& transaction, const Subject& subject, const Json* before,
                      const Json& object, const Caller& caller) {
  if (caller.admin || !subject.kind->namespaced) return {};
  objects::Issues issues;
  check_queues(transaction, subject, before, object, issues);
  const bool same_spec = before != nullptr && find(*before, {"spec"}) != nullptr &&
                         find(object, {"spec"}) != nullptr &&
                         *find(*before, {"spec"}) == *find(object, {"spec"});
  if (!same_spec) {
    check_priority_class(object, "", issues);
    if (subject.kind->kind == "Pod") check_pod_security(object, "", caller, issues);
    if (const Json* made = find(object, {"spec", "template"})) {
      check_priority_class(*made, "spec.template.", issues);
      check_pod_security(*made, "spec.template.", caller, issues);
    }
  }
  if (issues.empty()) return {};
  auto refused = forbidden(*subject.kind, subject.name, issues.front().to_string());
  for (const objects::Issue& issue : issues) {
    refused.error().causes.push_back({"FieldValueForbidden", issue.what, issue.path});
  }
  return refused;
}

}  // namespace berth::apiserver
