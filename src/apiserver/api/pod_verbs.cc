#include <algorithm>

#include <fmt/format.h>

#include "apiserver/api/objects_api.h"
#include "objects/selector.h"

/// Binding and eviction: the two verbs that pods alone have.
namespace berth::apiserver {
namespace {

using objects::find_array;
using objects::find_int;
using objects::find_string;

void set_pod_condition(Json& pod, std::string_view type, std::string_view status, Time now) {
  JsonObject& body = objects::ensure_object(pod, {"status"});
  Json& slot = body["conditions"];
  if (!slot.is_array()) slot.emplace_array();
  JsonObject condition{
      {"type", type}, {"status", status}, {"lastTransitionTime", format_time(now)}};
  JsonArray& conditions = slot.get_array();
  const auto same = std::ranges::find_if(
      conditions, [&](const Json& entry) { return find_string(entry, {"type"}) == type; });
  if (same == conditions.end()) {
    conditions.emplace_back(std::move(condition));
  } else if (find_string(*same, {"status"}) != status) {
    *same = std::move(condition);
  }
}

void copy_annotations(const Json& from, Json& to) {
  const JsonObject& annotations = objects::find_object(from, {"metadata", "annotations"});
  if (annotations.empty()) return;
  JsonObject& target = objects::ensure_object(to, {"metadata", "annotations"});
  for (const auto& member : annotations) target[member.key()] = member.value();
}

struct Budget {
  StoreKey key;
  StoredPtr stored;
};

std::vector<Budget> budgets_for(const Transaction& transaction, const Json& pod,
                                const std::string& ns) {
  std::vector<Budget> budgets;
  transaction.for_each("poddisruptionbudgets.policy", ns,
                       [&](const StoreKey& key, const StoredPtr& stored) {
                         const SharedJson budget = stored->tree();
                         const Json* selector = objects::find(*budget, {"spec", "selector"});
                         if (selector == nullptr) return true;
                         const auto parsed = objects::LabelSelector::from_json(*selector);
                         if (parsed && parsed->matches_object(pod))
                           budgets.push_back({key, stored});
                         return true;
                       });
  return budgets;
}

std::unexpected<Status> disruption_refused(const Subject& subject, const Budget& budget,
                                           std::string_view why) {
  auto failed =
      too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", 10);
  failed.error().kind = subject.kind->plural;
  failed.error().name = subject.name;
  failed.error().causes = {
      {"DisruptionBudget", fmt::format("The disruption budget {} {}", budget.key.name, why), ""}};
  return failed;
}

/// A pod that is not ready takes nothing from a budget that is already short of nothing else.
bool costs_nothing(const Json& pod) {
  const std::string_view phase = find_string(pod, {"status", "phase"});
  return phase == "Pending" || phase == "Succeeded" || phase == "Failed" || is_deleting(pod);
}

}  // namespace

Answer<Written> ObjectsApi::bind(Transaction& transaction, const Subject& subject,
                                 const Json& binding) {
  const std::string_view named = find_string(binding, {"metadata", "name"}, subject.name);
  if (named != subject.name) {
    return bad_request("the name in the Binding does not match the name in the address");
  }
  const std::string_view node = find_string(binding, {"target", "name"});
  const std::string_view target_kind = find_string(binding, {"target", "kind"}, "Node");
  if (node.empty() || target_kind != "Node") {
    return bad_request("a Binding needs a target of kind Node, with its name");
  }
  Subject pod_subject = subject;
  pod_subject.subresource.clear();
  auto stored = find(transaction, pod_subject);
  if (!stored) return std::unexpected(std::move(stored).error());
  Json pod = *(*stored)->tree();
  const objects::Kind& kind = *subject.kind;
  const std::string_view uid = objects::uid_of(binding);
  if (!uid.empty() && uid != objects::uid_of(pod)) {
    return conflict(kind, subject.name, "the pod's uid is another one: it was made anew");
  }
  if (is_deleting(pod)) {
    return conflict(
        kind, subject.name,
        fmt::format("pod {} is being deleted, cannot be assigned to a host", subject.name));
  }
  const std::string_view bound = find_string(pod, {"spec", "nodeName"});
  if (!bound.empty()) {
    return conflict(kind, subject.name,
                    fmt::format("pod {} is already assigned to node \"{}\"", subject.name, bound));
  }
  if (!find_array(pod, {"spec", "schedulingGates"}).empty()) {
    return conflict(kind, subject.name,
                    fmt::format("pod {} has non-empty .spec.schedulingGates", subject.name));
  }
  const Time now = clock_.now();
  objects::ensure_object(pod, {"spec"})["nodeName"] = node;
  copy_annotations(binding, pod);
  set_pod_condition(pod, "PodScheduled", "True", now);
  transaction.put(key_of(pod_subject), std::move(pod));
  return Written{
      std::make_shared<const Json>(success_status(kind, subject.name, uid, 201)), true, {}};
}

Answer<Written> ObjectsApi::evict(Transaction& transaction, const Subject& subject,
                                  const Json& eviction) {
  Subject pod_subject = subject;
  pod_subject.subresource.clear();
  auto stored = find(transaction, pod_subject);
  if (!stored) return std::unexpected(std::move(stored).error());
  const SharedJson pod = (*stored)->tree();

  if (!costs_nothing(*pod)) {
    const std::vector<Budget> budgets = budgets_for(transaction, *pod, subject.ns);
    for (const Budget& budget : budgets) {
      const SharedJson tree = budget.stored->tree();
      if (find_int(*tree, {"status", "observedGeneration"}) <
          find_int(*tree, {"metadata", "generation"})) {
        return disruption_refused(subject, budget, "is still being processed by the server");
      }
      const int64_t allowed = find_int(*tree, {"status", "disruptionsAllowed"});
      if (allowed <= 0) {
        return disruption_refused(subject, budget,
                                  fmt::format("needs {} healthy pods and has {} currently",
                                              find_int(*tree, {"status", "desiredHealthy"}),
                                              find_int(*tree, {"status", "currentHealthy"})));
      }
    }
    for (const Budget& budget : budgets) {
      Json charged = *budget.stored->tree();
      JsonObject& status = objects::ensure_object(charged, {"status"});
      status["disruptionsAllowed"] = find_int(charged, {"status", "disruptionsAllowed"}) - 1;
      objects::ensure_object(charged, {"status", "disruptedPods"})[subject.name] =
          format_time(clock_.now());
      transaction.put(budget.key, std::move(charged));
    }
  }

  Deletion deletion;
  if (objects::find(eviction, {"deleteOptions", "gracePeriodSeconds"}) != nullptr) {
    deletion.grace_s = find_int(eviction, {"deleteOptions", "gracePeriodSeconds"});
  }
  deletion.uid = find_string(eviction, {"deleteOptions", "preconditions", "uid"});
  auto deleted = store_deletion(transaction, pod_subject, *stored, deletion);
  if (!deleted) return deleted;
  return Written{std::make_shared<const Json>(
                     success_status(*subject.kind, subject.name, objects::uid_of(*pod), 201)),
                 true,
                 {}};
}

}  // namespace berth::apiserver
