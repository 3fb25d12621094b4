#include "controllers/upkeep/disruption_budget.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <utility>

#include "controllers/conditions.h"
#include "controllers/pods.h"
#include "objects/selector.h"

namespace berth::controllers {
namespace {

/// An eviction that the server let through must show as a deletion within this time, or it is
/// taken not to have happened.
constexpr Duration kEvictionShows = Duration::minutes(2);

std::optional<int64_t> percent(const Json& value) {
  if (!value.is_string()) return std::nullopt;
  const std::string_view text = value.get_string();
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data() + text.size() || *end != '%') return std::nullopt;
  return number;
}

/// How many pods the workloads behind these pods ask for.
int64_t asked_for(const View& view, const std::vector<ObjectPtr>& pods) {
  int64_t total = 0;
  std::set<std::string> counted;
  for (const ObjectPtr& pod : pods) {
    const OwnerRef* owner = pod->controller();
    ObjectPtr workload = owner == nullptr ? nullptr : view.find_uid(owner->uid);
    if (workload != nullptr && workload->key.kind == Kind::kReplicaSet) {
      const OwnerRef* above = workload->controller();
      const ObjectPtr deployment = above == nullptr ? nullptr : view.find_uid(above->uid);
      if (deployment != nullptr) workload = deployment;
    }
    if (workload == nullptr) {
      ++total;
    } else if (counted.insert(workload->uid).second) {
      const bool job = workload->key.kind == Kind::kJob;
      total += objects::find_int(*workload->json, {"spec", job ? "parallelism" : "replicas"}, 1);
    }
  }
  return total;
}

/// Evicted pods that the server has counted already and that are not seen to go yet.
JsonObject still_disrupted(const View& view, const Object& budget, Time now, Outcome& outcome) {
  JsonObject kept;
  for (const auto& [name, since] :
       objects::find_object(*budget.json, {"status", "disruptedPods"})) {
    const ObjectPtr pod = view.find({Kind::kPod, budget.key.ns, std::string(name)});
    const auto at = since.is_string() ? parse_time(since.get_string())
                                      : Result<Time>(fail(ErrorCode::kInvalid, "no time"));
    if (pod == nullptr || pod->deleting || !at || *at + kEvictionShows <= now) continue;
    outcome.look_again(*at + kEvictionShows);
    kept[name] = since;
  }
  return kept;
}

Outcome reconcile(const View& view, const Key& key, Time now) {
  Outcome outcome;
  const ObjectPtr budget = view.find(key);
  if (budget == nullptr) return outcome;
  const Json* selector_json = objects::find(*budget->json, {"spec", "selector"});
  const auto selector =
      objects::LabelSelector::from_json(selector_json == nullptr ? Json() : *selector_json);
  if (!selector) return outcome;

  std::vector<ObjectPtr> pods;
  for (ObjectPtr& pod : view.list(Kind::kPod, key.ns)) {
    if (!is_finished(*pod) && selector->matches_object(*pod->json)) pods.push_back(std::move(pod));
  }
  JsonObject disrupted = still_disrupted(view, *budget, now, outcome);
  const int64_t healthy = std::count_if(pods.begin(), pods.end(), [&](const ObjectPtr& pod) {
    return is_ready(*pod) && !pod->deleting && !disrupted.contains(pod->key.name);
  });

  int64_t expected = static_cast<int64_t>(pods.size());
  int64_t desired = 0;
  if (const Json* most = objects::find(*budget->json, {"spec", "maxUnavailable"})) {
    expected = asked_for(view, pods);
    const auto share = percent(*most);
    const int64_t unavailable = share
                                    ? (expected * *share + 99) / 100
                                    : objects::find_int(*budget->json, {"spec", "maxUnavailable"});
    desired = std::max<int64_t>(0, expected - unavailable);
  } else if (const Json* least = objects::find(*budget->json, {"spec", "minAvailable"})) {
    if (const auto share = percent(*least)) {
      expected = asked_for(view, pods);
      desired = (expected * *share + 99) / 100;
    } else {
      desired = objects::find_int(*budget->json, {"spec", "minAvailable"});
    }
  }
  const int64_t allowed = expected == 0 ? 0 : std::max<int64_t>(0, healthy - desired);

  JsonArray conditions = objects::find_array(*budget->json, {"status", "conditions"});
  set_condition(conditions,
                {"DisruptionAllowed", allowed > 0 ? "True" : "False",
                 allowed > 0 ? "SufficientPods" : "InsufficientPods", ""},
                now);
  JsonObject status{
      {"currentHealthy", healthy},
      {"desiredHealthy", desired},
      {"expectedPods", expected},
      {"disruptionsAllowed", allowed},
      {"observedGeneration", objects::find_int(*budget->json, {"metadata", "generation"})},
      {"conditions", std::move(conditions)}};
  if (!disrupted.empty()) status["disruptedPods"] = std::move(disrupted);
  if (auto write = patch_status_to(*budget, status)) outcome.writes.push_back(std::move(*write));
  return outcome;
}

void affected(const View& view, const Object& object, std::vector<Key>& keys) {
  if (object.key.kind == Kind::kPodDisruptionBudget) keys.push_back(object.key);
  const bool workload = object.key.kind == Kind::kDeployment ||
                        object.key.kind == Kind::kReplicaSet || object.key.kind == Kind::kJob;
  if (object.key.kind != Kind::kPod && !workload) return;
  for (const ObjectPtr& budget : view.list(Kind::kPodDisruptionBudget, object.key.ns)) {
    keys.push_back(budget->key);
  }
}

}  // namespace

const Controller kDisruptionBudget = {"disruption-budget", &affected, &reconcile};

}  // namespace berth::controllers
