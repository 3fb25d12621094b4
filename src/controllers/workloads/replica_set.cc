#include "controllers/workloads/replica_set.h"

#include <algorithm>
#include <utility>

#include "controllers/conditions.h"
#include "controllers/pods.h"
#include "controllers/scaling/growth_values.h"

namespace berth::controllers {
namespace {

/// Bounds one round of creations; the next round follows when these were seen.
constexpr int64_t kMaxCreates = 500;

struct Counts {
  int64_t replicas = 0;
  int64_t fully_labeled = 0;
  int64_t ready = 0;
  int64_t available = 0;
  int64_t terminating = 0;
};

void write_status(const View& view, const Object& set, const Counts& counts, bool creating,
                  Time now, Outcome& outcome) {
  JsonObject status{
      {"replicas", counts.replicas},
      {"observedGeneration", objects::find_int(*set.json, {"metadata", "generation"})}};
  const auto put = [&](std::string_view field, int64_t count) {
    if (count > 0) status[field] = count;
  };
  put("fullyLabeledReplicas", counts.fully_labeled);
  put("readyReplicas", counts.ready);
  put("availableReplicas", counts.available);
  put("terminatingReplicas", counts.terminating);
  JsonArray conditions = objects::find_array(*set.json, {"status", "conditions"});
  const std::string_view failure = view.failure(set.key);
  if (creating && !failure.empty()) {
    set_condition(conditions, {"ReplicaFailure", "True", "FailedCreate", std::string(failure)},
                  now);
  } else if (!creating) {
    drop_condition(conditions, "ReplicaFailure");
  }
  if (!conditions.empty()) status["conditions"] = std::move(conditions);
  if (auto write = patch_status_to(set, status)) outcome.writes.push_back(std::move(*write));
}

/// The replicas that go last are the service's minimum, the others are worth what they are told to
/// be. `pods`: those that stay, who goes first first.
void tell_worth(const std::vector<ObjectPtr>& pods, const GrowthValues& growth, Outcome& outcome) {
  for (size_t i = 0; i < pods.size(); ++i) {
    const std::string worth = growth.of(static_cast<int64_t>(pods.size() - 1 - i));
    if (pods[i]->annotation(kGrowthValue) == worth) continue;
    const Json value = worth.empty() ? Json() : Json(worth);
    outcome.writes.push_back(patch_blind(
        *pods[i],
        JsonObject{{"metadata", JsonObject{{"annotations", JsonObject{{kGrowthValue, value}}}}}}));
  }
}

Json new_pod(const Object& set, const std::string& worth) {
  Json pod = pod_from_template(objects::find_object(*set.json, {"spec", "template"}), set,
                               set.key.name + "-");
  if (!worth.empty())
    objects::ensure_object(pod, {"metadata", "annotations"})[kGrowthValue] = worth;
  return pod;
}

Outcome reconcile(const View& view, const Key& key, Time now) {
  Outcome outcome;
  const ObjectPtr set = view.find(key);
  if (set == nullptr) return outcome;

  // 1. Whose pods are they?
  Claimed claimed = claim(view, *set, Kind::kPod, objects::find(*set->json, {"spec", "selector"}));
  outcome.writes = std::move(claimed.writes);
  const Duration min_ready =
      Duration::seconds(objects::find_int(*set->json, {"spec", "minReadySeconds"}));
  const JsonObject& template_labels =
      objects::find_object(*set->json, {"spec", "template", "metadata", "labels"});

  // 2. How many are there?
  Counts counts;
  std::vector<ObjectPtr> active;
  for (const ObjectPtr& pod : claimed.objects) {
    if (!is_active(*pod)) {
      counts.terminating += is_finished(*pod) ? 0 : 1;
      continue;
    }
    active.push_back(pod);
    ++counts.replicas;
    counts.ready += is_ready(*pod) ? 1 : 0;
    counts.available += is_available(*pod, min_ready, now, outcome) ? 1 : 0;
    const JsonObject& labels = objects::find_object(*pod->json, {"metadata", "labels"});
    counts.fully_labeled += std::all_of(template_labels.begin(), template_labels.end(),
                                        [&](const auto& label) {
                                          const Json* value = labels.if_contains(label.key());
                                          return value != nullptr && *value == label.value();
                                        })
                                ? 1
                                : 0;
  }

  // 3. More or fewer.
  const int64_t wanted = objects::find_int(*set->json, {"spec", "replicas"}, 1);
  const int64_t missing = wanted - counts.replicas;
  const auto growth = GrowthValues::parse(set->annotation(kGrowthValues));
  rank_for_removal(active);
  if (!set->deleting && missing > 0) {
    for (int64_t i = 0; i < std::min(missing, kMaxCreates); ++i) {
      Write write =
          create(Kind::kPod, key.ns, new_pod(*set, growth ? growth->of(counts.replicas + i) : ""));
      write.on_behalf_of = set;
      outcome.writes.push_back(std::move(write));
    }
  } else if (!set->deleting && missing < 0) {
    const auto last = active.begin() + static_cast<ptrdiff_t>(-missing);
    for (auto pod = active.begin(); pod != last; ++pod) {
      Write write = remove(**pod);
      write.on_behalf_of = set;
      outcome.writes.push_back(std::move(write));
    }
    active.erase(active.begin(), last);
  }
  if (!set->deleting && growth) tell_worth(active, *growth, outcome);

  // 4. Say so.
  write_status(view, *set, counts, missing > 0, now, outcome);
  return outcome;
}

void affected(const View& view, const Object& object, std::vector<Key>& keys) {
  if (object.key.kind == Kind::kReplicaSet) keys.push_back(object.key);
  // More quota may let through what was refused.
  if (object.key.kind == Kind::kResourceQuota) {
    for (Key& key : view.failing(Kind::kReplicaSet, object.key.ns)) keys.push_back(std::move(key));
  }
  if (object.key.kind != Kind::kPod) return;
  const OwnerRef* owner = object.controller();
  if (owner != nullptr) {
    if (owner->kind == "ReplicaSet")
      keys.push_back({Kind::kReplicaSet, object.key.ns, owner->name});
    return;
  }
  find_adopters(view, object, Kind::kReplicaSet, keys);
}

}  // namespace

const Controller kReplicaSet = {"replicaset", &affected, &reconcile};

}  // namespace berth::controllers
