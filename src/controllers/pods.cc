#include "controllers/pods.h"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

#include "controllers/conditions.h"
#include "objects/selector.h"

namespace berth::controllers {
namespace {

int64_t deletion_cost(const Object& pod) {
  const std::string_view text = pod.annotation("controller.kubernetes.io/pod-deletion-cost");
  int64_t cost = 0;
  std::from_chars(text.data(), text.data() + text.size(), cost);
  return cost;
}

Time ready_since(const Object& pod) {
  const Json* ready = find_condition(*pod.json, "Ready");
  return ready == nullptr ? Time{} : transition_time(*ready);
}

}  // namespace

PodPhase phase(const Object& pod) {
  const std::string_view text = objects::find_string(*pod.json, {"status", "phase"}, "Pending");
  if (text == "Pending") return PodPhase::kPending;
  if (text == "Running") return PodPhase::kRunning;
  if (text == "Succeeded") return PodPhase::kSucceeded;
  if (text == "Failed") return PodPhase::kFailed;
  return PodPhase::kUnknown;
}

bool is_finished(const Object& pod) {
  const PodPhase at = phase(pod);
  return at == PodPhase::kSucceeded || at == PodPhase::kFailed;
}

bool is_active(const Object& pod) {
  return !is_finished(pod) && !pod.deleting;
}

bool is_bound(const Object& pod) {
  return !objects::find_string(*pod.json, {"spec", "nodeName"}).empty();
}

bool is_ready(const Object& pod) {
  return condition_is_true(*pod.json, "Ready");
}

bool is_available(const Object& pod, Duration min_ready, Time now, Outcome& outcome) {
  if (!is_ready(pod)) return false;
  const Time available_at = ready_since(pod) + min_ready;
  if (min_ready.ns <= 0 || available_at <= now) return true;
  outcome.look_again(available_at);
  return false;
}

bool is_disrupted(const Object& pod) {
  return condition_is_true(*pod.json, "DisruptionTarget");
}

Time finished_at(const Object& pod) {
  Time last{};
  for (const Json& status : objects::find_array(*pod.json, {"status", "containerStatuses"})) {
    const auto at = parse_time(objects::find_string(status, {"state", "terminated", "finishedAt"}));
    if (at) last = std::max(last, *at);
  }
  if (last == Time{}) last = ready_since(pod);
  return last == Time{} ? pod.created : last;
}

int64_t restarts(const Object& pod) {
  int64_t total = 0;
  for (std::string_view list : {"containerStatuses", "initContainerStatuses"}) {
    for (const Json& status : objects::find_array(*pod.json, {"status", list})) {
      total += objects::find_int(status, {"restartCount"});
    }
  }
  return total;
}

Json pod_from_template(const Json& pod_template, const Object& owner,
                       const std::string& generate_name) {
  JsonObject metadata;
  for (std::string_view key : {"labels", "annotations", "finalizers"}) {
    if (const Json* value = objects::find(pod_template, {"metadata", key})) metadata[key] = *value;
  }
  metadata["generateName"] = generate_name;
  metadata["ownerReferences"] = JsonArray{owner_reference(owner)};
  return JsonObject{{"metadata", std::move(metadata)},
                    {"spec", objects::find_object(pod_template, {"spec"})}};
}

void rank_for_removal(std::vector<ObjectPtr>& pods) {
  std::stable_sort(pods.begin(), pods.end(), [](const ObjectPtr& a, const ObjectPtr& b) {
    const auto rank = [](const Object& pod) {
      return std::tuple(is_bound(pod), phase(pod) == PodPhase::kRunning, is_ready(pod),
                        deletion_cost(pod), -ready_since(pod).ns, -restarts(pod), -pod.created.ns);
    };
    return rank(*a) < rank(*b);
  });
}

Claimed claim(const View& view, const Object& owner, Kind kind, const Json* selector) {
  Claimed claimed;
  const auto parsed = objects::LabelSelector::from_json(selector == nullptr ? Json() : *selector);
  const auto selected = [&](const Object& object) {
    return parsed && parsed->matches_object(*object.json);
  };
  const auto set_owners = [&](const Object& object, JsonArray owners) {
    claimed.writes.push_back(patch(
        object, JsonObject{{"metadata", JsonObject{{"ownerReferences", std::move(owners)}}}}));
  };
  for (ObjectPtr& object : view.controlled(owner.uid, kind)) {
    if (selected(*object)) {
      claimed.objects.push_back(std::move(object));
      continue;
    }
    JsonArray others;
    for (const Json& entry : objects::find_array(*object->json, {"metadata", "ownerReferences"})) {
      if (objects::find_string(entry, {"uid"}) != owner.uid) others.push_back(entry);
    }
    if (!owner.deleting) set_owners(*object, std::move(others));
  }
  if (owner.deleting) return claimed;
  for (ObjectPtr& object : view.orphans(kind, owner.key.ns)) {
    if (object->deleting || !selected(*object)) continue;
    JsonArray owners = objects::find_array(*object->json, {"metadata", "ownerReferences"});
    owners.push_back(owner_reference(owner));
    set_owners(*object, std::move(owners));
    claimed.objects.push_back(std::move(object));
  }
  return claimed;
}

void find_adopters(const View& view, const Object& orphan, Kind kind, std::vector<Key>& keys) {
  if (objects::find_object(*orphan.json, {"metadata", "labels"}).empty()) return;
  for (const ObjectPtr& candidate : view.list(kind, orphan.key.ns)) {
    const Json* json = objects::find(*candidate->json, {"spec", "selector"});
    const auto selector = objects::LabelSelector::from_json(json == nullptr ? Json() : *json);
    if (selector && selector->matches_object(*orphan.json)) keys.push_back(candidate->key);
  }
}

}  // namespace berth::controllers
