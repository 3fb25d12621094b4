#include "controllers/scaling/scaling.h"

#include <algorithm>

#include <fmt/format.h>

#include "controllers/conditions.h"
#include "controllers/pods.h"
#include "controllers/scaling/scaling_spec.h"
#include "controllers/serving/service_spec.h"
#include "controllers/serving/workload.h"
#include "objects/json_text.h"

namespace berth::controllers {
namespace {

using objects::find_int;
using objects::find_string;

Note note(const ObjectPtr& about, int64_t before, int64_t now, const std::string& reason) {
  return {about, false, now > before ? "ScaledUp" : "ScaledDown",
          fmt::format("from {} to {} replicas: {}", before, now, reason)};
}

/// Which variants run how many: the first ones that can have them, in their order. One that has
/// replicas which no node takes gets no more of them while there is another.
JsonObject share_out(const View& view, const Object& service, const ServiceSpec& spec,
                     int64_t total) {
  JsonObject desired;
  for (size_t i = 0; i < spec.variants.size(); ++i) {
    const VariantSpec& variant = spec.variants[i];
    int64_t most = total;
    const bool last = i + 1 == spec.variants.size();
    int64_t bound = 0, unplaceable = 0;
    for (const ObjectPtr& pod : view.list(Kind::kPod, service.key.ns)) {
      if (pod->label(kVariantLabel) != spec.deployment_name(variant) || !is_active(*pod)) continue;
      const Json* scheduled = find_condition(*pod->json, "PodScheduled");
      const bool refused = scheduled != nullptr && find_string(*scheduled, {"status"}) == "False";
      ++(is_bound(*pod) || !refused ? bound : unplaceable);
    }
    if (unplaceable > 0 && !last) most = bound;
    const int64_t share = std::min(total, most);
    desired[variant.name.empty() ? "default" : variant.name] = share;
    total -= share;
  }
  return desired;
}

void scale_service(const View& view, const ObjectPtr& service, const ScalingVerdict& verdict,
                   Outcome& outcome) {
  const ServiceSpec spec = ServiceSpec::read(*service);
  JsonObject wanted{{"desired", share_out(view, *service, spec, verdict.replicas)},
                    {"scalingReason", verdict.reason},
                    {"scaling", verdict.measured}};
  JsonObject change;
  for (const auto& [field, value] : wanted) {
    const Json* now = objects::find(*service->json, {"status", field});
    // As texts: a whole number comes back from the server as an integer.
    if (now == nullptr || objects::canonical_json(*now) != objects::canonical_json(value))
      change[field] = value;
  }
  if (change.empty()) return;
  int64_t before = 0;
  for (const int64_t each : spec.wanted_replicas(*service)) before += each;
  if (before != verdict.replicas)
    outcome.notes.push_back(note(service, before, verdict.replicas, verdict.reason));
  // Others do not write these fields.
  outcome.writes.push_back(patch_status_blind(*service, std::move(change)));
}

void scale_deployment(const ObjectPtr& deployment, const ScalingVerdict& verdict,
                      Outcome& outcome) {
  const int64_t before = find_int(*deployment->json, {"spec", "replicas"}, 1);
  if (before != verdict.replicas) {
    outcome.notes.push_back(note(deployment, before, verdict.replicas, verdict.reason));
    outcome.writes.push_back(scale(*deployment, verdict.replicas));
  }
  if (deployment->annotation(kScalingReason) != verdict.reason)
    outcome.writes.push_back(patch_blind(
        *deployment,
        JsonObject{{"metadata",
                    JsonObject{{"annotations", JsonObject{{kScalingReason, verdict.reason}}}}}}));
}

Outcome reconcile(const View& view, const Key& key, Time) {
  Outcome outcome;
  const ObjectPtr object = view.find(key);
  const VerdictPtr verdict = view.verdict(key);
  if (object == nullptr || object->deleting || verdict == nullptr) return outcome;
  if (key.kind == Kind::kModelService) {
    scale_service(view, object, *verdict, outcome);
  } else {
    scale_deployment(object, *verdict, outcome);
  }
  return outcome;
}

/// Whoever changes what was decided is overruled.
void affected(const View& view, const Object& object, std::vector<Key>& keys) {
  if (view.verdict(object.key) != nullptr) keys.push_back(object.key);
}

}  // namespace

const Controller kScaling = {"scaling", &affected, &reconcile};

}  // namespace berth::controllers
