#include "controllers/upkeep/pod_group.h"

#include <string>
#include <utility>

#include "controllers/pods.h"

namespace berth::controllers {
namespace {

constexpr std::string_view kGroupLabel = "scheduling.x-k8s.io/pod-group";

struct Members {
  int64_t scheduled = 0;
  int64_t running = 0;
  int64_t succeeded = 0;
  int64_t failed = 0;
};

std::string_view phase_of(const Members& members, int64_t minimum) {
  if (members.succeeded >= minimum && members.running == 0) return "Finished";
  if (members.running + members.succeeded >= minimum) return "Running";
  if (members.failed > 0 && members.failed + members.running + members.succeeded >= minimum) {
    return "Failed";
  }
  return members.scheduled > 0 ? "Scheduling" : "Pending";
}

Outcome reconcile(const View& view, const Key& key, Time) {
  Outcome outcome;
  const ObjectPtr group = view.find(key);
  if (group == nullptr) return outcome;
  Members members;
  for (const ObjectPtr& pod : view.list(Kind::kPod, key.ns)) {
    if (pod->label(kGroupLabel) != key.name) continue;
    const PodPhase at = phase(*pod);
    members.succeeded += at == PodPhase::kSucceeded ? 1 : 0;
    members.failed += at == PodPhase::kFailed ? 1 : 0;
    if (!is_active(*pod)) continue;
    members.scheduled += is_bound(*pod) ? 1 : 0;
    members.running += at == PodPhase::kRunning ? 1 : 0;
  }
  const int64_t minimum = objects::find_int(*group->json, {"spec", "minMember"}, 1);
  const JsonObject wanted{{"phase", phase_of(members, minimum)},
                          {"scheduled", members.scheduled},
                          {"running", members.running},
                          {"succeeded", members.succeeded},
                          {"failed", members.failed}};
  JsonObject change;
  for (const auto& [field, value] : wanted) {
    const Json* now = objects::find(*group->json, {"status", field});
    if (now == nullptr || *now != value) change[field] = value;
  }
  if (!change.empty()) outcome.writes.push_back(patch_status_blind(*group, std::move(change)));
  return outcome;
}

void affected(const View&, const Object& object, std::vector<Key>& keys) {
  if (object.key.kind == Kind::kPodGroup) keys.push_back(object.key);
  if (object.key.kind != Kind::kPod) return;
  const std::string_view group = object.label(kGroupLabel);
  if (!group.empty()) keys.push_back({Kind::kPodGroup, object.key.ns, std::string(group)});
}

}  // namespace

const Controller kPodGroup = {"pod-group", &affected, &reconcile};

}  // namespace berth::controllers
