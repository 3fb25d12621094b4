#include "controllers/upkeep/lost_pods.h"

#include <string>
#include <utility>

#include "controllers/conditions.h"
#include "controllers/pods.h"

namespace berth::controllers {
namespace {

/// A node that registers again within this time keeps its pods.
constexpr Duration kQuarantine = Duration::seconds(40);

Outcome reconcile(const View& view, const Key& key, Time now) {
  Outcome outcome;
  const ObjectPtr pod = view.find(key);
  if (pod == nullptr || !is_bound(*pod)) return outcome;
  const std::string node(objects::find_string(*pod->json, {"spec", "nodeName"}));
  const Key node_key{Kind::kNode, "", node};
  if (view.find(node_key) != nullptr) return outcome;
  const Time lost_for_good = view.absent_since(node_key) + kQuarantine;
  if (lost_for_good > now) {
    outcome.look_again(lost_for_good);
    return outcome;
  }
  if (!is_finished(*pod)) {
    JsonArray conditions = objects::find_array(*pod->json, {"status", "conditions"});
    set_condition(conditions,
                  {"DisruptionTarget", "True", "DeletionByPodGC", "Node " + node + " is gone"},
                  now);
    outcome.writes.push_back(
        patch_status(*pod, JsonObject{{"phase", "Failed"}, {"conditions", conditions}}));
  }
  Write write = remove(*pod);
  write.grace = Duration{};
  write.confirm_gone.emplace_back(node_key, "");
  outcome.writes.push_back(std::move(write));
  return outcome;
}

void affected(const View& view, const Object& object, std::vector<Key>& keys) {
  if (object.key.kind == Kind::kPod && is_bound(object)) keys.push_back(object.key);
  if (object.key.kind != Kind::kNode || view.find(object.key) != nullptr) return;
  for (const ObjectPtr& pod : view.list(Kind::kPod)) {
    if (objects::find_string(*pod->json, {"spec", "nodeName"}) == object.key.name) {
      keys.push_back(pod->key);
    }
  }
}

}  // namespace

const Controller kLostPods = {"lost-pods", &affected, &reconcile};

}  // namespace berth::controllers
