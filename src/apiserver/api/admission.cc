#include "apiserver/api/admission.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "apiserver/api/lifecycle.h"
#include "apiserver/api/objects_api.h"
#include "apiserver/api/service_addresses.h"
#include "apiserver/api/tenancy.h"

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

}  // namespace

Answer<> admit_new(Transaction& transaction, const Subject& subject, Json& object,
                   const WriteContext& context, const Surroundings& surroundings) {
  const objects::Kind& kind = *subject.kind;
  if (auto good = check_namespace(transaction, subject); !good) return good;
  if (auto good = check_tenant(transaction, subject, nullptr, object, context.caller); !good)
    return good;
  if (is(kind, "", "Pod")) {
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
