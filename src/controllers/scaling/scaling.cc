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

/// Replicas of a variant: those that have a place, and whether one was long told that none has.
struct Placement {
  int64_t placed = 0;
  bool stuck = false;
};

Placement placement_of(const View& view, const Key& service, const std::string& deployment,
                       Time now) {
  Placement placement;
  for (const ObjectPtr& pod : view.list(Kind::kPod, service.ns)) {
    if (pod->label(kVariantLabel) != deployment || !is_active(*pod)) continue;
    const Json* scheduled = find_condition(*pod->json, "PodScheduled");
    const bool refused = scheduled != nullptr && find_string(*scheduled, {"status"}) == "False";
    if (is_bound(*pod) || !refused) {
      ++placement.placed;
    } else if (pod->created + kPlacementPatience <= now) {
      placement.stuck = true;
    }
  }
  return placement;
}

/// Which variants run how many: what runs stays where it is; more come to the first variant, and
/// what finds no place there goes to the next; fewer are taken from the last.
std::vector<int64_t> share_out(const View& view, const Object& service, const ServiceSpec& spec,
                               int64_t total, Time now) {
  std::vector<int64_t> shares = spec.wanted_replicas(service);
  int64_t sum = 0;
  for (const int64_t share : shares) sum += share;
  if (!shares.empty()) shares.front() += std::max<int64_t>(0, total - sum);
  for (size_t i = shares.size(); i-- > 0 && sum > total;) {
    const int64_t less = std::min(shares[i], sum - total);
    shares[i] -= less;
    sum -= less;
  }
  for (size_t i = 0; i + 1 < shares.size(); ++i) {
    const Placement placement =
        placement_of(view, service.key, spec.deployment_name(spec.variants[i]), now);
    if (!placement.stuck) continue;
    const int64_t homeless = std::max<int64_t>(0, shares[i] - placement.placed);
    shares[i] -= homeless;
    shares[i + 1] += homeless;
  }
  return shares;
}

/// By the variants' names; what there is none of is left out.
template <class T>
JsonObject by_variant(const ServiceSpec& spec, const std::vector<T>& values) {
  JsonObject named;
  for (size_t i = 0; i < std::min(values.size(), spec.variants.size()); ++i)
    named[spec.variants[i].name.empty() ? "default" : spec.variants[i].name] = values[i];
  return named;
}

void scale_service(const View& view, const ObjectPtr& service, const ScalingVerdict& verdict,
                   Time now, Outcome& outcome) {
  const ServiceSpec spec = ServiceSpec::read(*service);
  // The verdict may be about variants that are not asked for any more.
  const bool chosen = verdict.of_variants.size() == spec.variants.size();
  JsonObject wanted{{"desired", chosen ? by_variant(spec, verdict.of_variants)
                                       : by_variant(spec, share_out(view, *service, spec,
                                                                    verdict.replicas, now))},
                    {"scalingReason", verdict.reason},
                    {"variantReasons", by_variant(spec, verdict.variant_reasons)},
                    {"scaling", verdict.measured}};
  if (verdict.growth) {
    const auto before =
        GrowthValues::parse(find_string(*service->json, {"status", "growthValues"}));
    if (!before || verdict.growth->differs_from(*before))
      wanted["growthValues"] = verdict.growth->text();
  }
  JsonObject change;
  for (const auto& [field, value] : wanted) {
    const Json* before = objects::find(*service->json, {"status", field});
    // As texts: a whole number comes back from the server as an integer.
    if (before == nullptr || objects::canonical_json(*before) != objects::canonical_json(value))
      change[field] = value;
  }
  if (change.empty()) return;
  int64_t had = 0;
  for (const int64_t each : spec.wanted_replicas(*service)) had += each;
  if (had != verdict.replicas)
    outcome.notes.push_back(note(service, had, verdict.replicas, verdict.reason));
  // Others do not write these fields.
  outcome.writes.push_back(patch_status_blind(*service, std::move(change)));
}

Write annotate(const Object& object, std::string_view name, const std::string& text) {
  return patch_blind(
      object, JsonObject{{"metadata", JsonObject{{"annotations", JsonObject{{name, text}}}}}});
}

void scale_deployment(const ObjectPtr& deployment, const ScalingVerdict& verdict,
                      Outcome& outcome) {
  // Before the replicas that it is about.
  const auto worth = GrowthValues::parse(deployment->annotation(kGrowthValues));
  if (verdict.growth && (!worth || verdict.growth->differs_from(*worth)))
    outcome.writes.push_back(annotate(*deployment, kGrowthValues, verdict.growth->text()));
  const int64_t before = find_int(*deployment->json, {"spec", "replicas"}, 1);
  if (before != verdict.replicas) {
    outcome.notes.push_back(note(deployment, before, verdict.replicas, verdict.reason));
    outcome.writes.push_back(scale(*deployment, verdict.replicas));
  }
  if (deployment->annotation(kScalingReason) != verdict.reason)
    outcome.writes.push_back(annotate(*deployment, kScalingReason, verdict.reason));
}

Outcome reconcile(const View& view, const Key& key, Time now) {
  Outcome outcome;
  const ObjectPtr object = view.find(key);
  const VerdictPtr verdict = view.verdict(key);
  if (object == nullptr || object->deleting || verdict == nullptr) return outcome;
  if (key.kind == Kind::kModelService) {
    scale_service(view, object, *verdict, now, outcome);
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
