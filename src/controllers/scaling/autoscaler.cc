#include "controllers/scaling/autoscaler.h"

#include <algorithm>

#include <fmt/format.h>

#include "controllers/conditions.h"
#include "controllers/pods.h"
#include "controllers/scaling/replica_price.h"
#include "controllers/scaling/scaling.h"
#include "controllers/serving/footprint.h"
#include "controllers/serving/service_spec.h"
#include "controllers/serving/workload.h"
#include "documents/profile_document.h"
#include "objects/json_text.h"

namespace berth::controllers {
namespace {

constexpr Duration kReasonEvery = Duration::seconds(5);
constexpr Duration kGatewayGone = Duration::minutes(10);
constexpr size_t kMostFresh = 100'000;

/// The pods of what is scaled.
std::vector<ObjectPtr> pods_of(const View& view, const Object& object) {
  std::vector<ObjectPtr> pods;
  const auto take = [&](const Object& deployment) {
    for (const ObjectPtr& set : view.controlled(deployment.uid, Kind::kReplicaSet))
      for (ObjectPtr& pod : view.controlled(set->uid, Kind::kPod)) pods.push_back(std::move(pod));
  };
  if (object.key.kind == Kind::kDeployment) {
    take(object);
  } else {
    for (const ObjectPtr& deployment : view.controlled(object.uid, Kind::kDeployment))
      take(*deployment);
  }
  return pods;
}

int64_t ordered_of(const Object& object) {
  if (object.key.kind == Kind::kDeployment)
    return objects::find_int(*object.json, {"spec", "replicas"}, 1);
  int64_t total = 0;
  for (const int64_t each : ServiceSpec::read(object).wanted_replicas(object)) total += each;
  return total;
}

/// When its condition of that type became `status`; nothing where it is not so.
std::optional<Time> since(const Object& pod, std::string_view type, std::string_view status) {
  const Json* condition = find_condition(*pod.json, type);
  if (condition == nullptr || objects::find_string(*condition, {"status"}) != status)
    return std::nullopt;
  const auto time = parse_time(objects::find_string(*condition, {"lastTransitionTime"}));
  return time ? std::optional(*time) : std::nullopt;
}

void count(const Object& pod, Time now, ReplicaCounts& counts) {
  if (!is_active(pod)) return;
  counts.ready += is_ready(pod) ? 1 : 0;
  if (is_bound(pod) || pod.created + kPlacementPatience > now) return;
  const Json* scheduled = find_condition(*pod.json, "PodScheduled");
  if (scheduled == nullptr || objects::find_string(*scheduled, {"status"}) != "False") return;
  ++counts.unplaceable;
  counts.why_unplaceable = objects::find_string(*scheduled, {"message"});
}

/// Of which variant of the service a pod is.
std::optional<size_t> variant_of(const ServiceSpec& service, const Object& pod) {
  if (pod.label(kModelServiceLabel) != service.name) return std::nullopt;
  for (size_t i = 0; i < service.variants.size(); ++i)
    if (pod.label(kVariantLabel) == service.deployment_name(service.variants[i])) return i;
  return std::nullopt;
}

std::string obstacle_of(const View& view, const ServiceSpec& service, const VariantSpec& variant) {
  if (!service.is_local()) return {};
  const auto header = view.model_header(service.model);
  return header ? why_it_cannot_fit(view, *header, service, variant).value_or("") : "";
}

ServiceCounts counts_of(const View& view, const Object& object, const ScalingSpec& spec, Time now) {
  ServiceCounts counts;
  counts.ordered = static_cast<int>(ordered_of(object));
  const std::vector<ObjectPtr> pods = pods_of(view, object);
  for (const ObjectPtr& pod : pods) count(*pod, now, counts);
  if (!spec.chooses()) return counts;
  const ServiceSpec service = ServiceSpec::read(object);
  const std::vector<int64_t> ordered = service.wanted_replicas(object);
  for (size_t i = 0; i < service.variants.size(); ++i) {
    VariantCounts& each = counts.variants.emplace_back();
    each.ordered = static_cast<int>(ordered[i]);
    each.per_hour = replica_price(service.variants[i], view.prices(), now);
    each.obstacle = obstacle_of(view, service, service.variants[i]);
  }
  for (const ObjectPtr& pod : pods)
    if (const auto variant = variant_of(service, *pod)) count(*pod, now, counts.variants[*variant]);
  return counts;
}

/// Which variant of this service the pods that a gateway names are of.
ServiceScaler::VariantOf variants_of(const View& view, const Object& object) {
  if (object.key.kind != Kind::kModelService) return [](const std::string&) { return 0; };
  return [&view, service = ServiceSpec::read(object),
          ns = object.key.ns](const std::string& name) -> std::optional<size_t> {
    const size_t slash = name.find('/');
    if (slash == std::string::npos || name.substr(0, slash) != ns) return std::nullopt;
    const ObjectPtr pod = view.find({Kind::kPod, ns, name.substr(slash + 1)});
    return pod == nullptr ? std::nullopt : variant_of(service, *pod);
  };
}

std::optional<Result<core::ServingProfile>> given_profile(const View& view,
                                                          const std::string& name) {
  if (name.empty()) return std::nullopt;
  if (const ObjectPtr profile = view.find({Kind::kServingProfile, "", name}))
    return documents::profile_from_document(*profile->json, to_string(profile->key));
  return fail(ErrorCode::kNotFound, "there is no such ServingProfile", name,
              "make it with `berth profile fit` and `berth apply`");
}

/// All of an object that its scaler is made from.
std::string asked_of(const View& view, const Object& object, const ScalingSpec& spec) {
  std::string text;
  if (object.key.kind == Kind::kModelService) {
    text = objects::canonical_json(objects::find_object(*object.json, {"spec"}));
  } else {
    for (const std::string_view name :
         {kScaleModel, kScaleMin, kScaleMax, kScalePolicy, kScaleProfile, kScaleIdleAfter,
          kScaleHoldFor, kScaleStandby, kScaleObjective, kScaleInFlight})
      text += fmt::format("{}\n", object.annotation(name));
  }
  for (const ScalingSpec::Variant& variant : spec.variants)
    if (const ObjectPtr profile = view.find({Kind::kServingProfile, "", variant.profile}))
      text += profile->resource_version + "\n";
  return text;
}

}  // namespace

bool Autoscaler::on_reports(const std::vector<documents::DemandReport>& reports, Time now) {
  bool urgent = false;
  for (const documents::DemandReport& report : reports) {
    Gateway& gateway = gateways_[report.gateway];
    gateway.heard_at = now;
    if (report.sequence <= gateway.sequence) continue;
    gateway.sequence = report.sequence;
    for (const documents::ModelDemand& demand : report.models) {
      urgent = urgent || demand.held;
      if (fresh_.size() < kMostFresh) fresh_.emplace_back(report.second, demand);
    }
  }
  forget_gateways(now);
  return urgent;
}

void Autoscaler::forget_gateways(Time now) {
  std::erase_if(gateways_,
                [now](const auto& entry) { return now - entry.second.heard_at > kGatewayGone; });
}

Autoscaler::Scaled& Autoscaler::scaled(const View& view, const Object& object,
                                       const ScalingSpec& spec) {
  Scaled& found = scaled_[object.key];
  std::string asked = asked_of(view, object, spec);
  if (found.scaler && found.uid == object.uid && found.asked == asked) return found;
  // What was measured so far is in the last verdict, or where it was written.
  JsonObject measured = objects::find_object(*object.json, {"status", "scaling"});
  if (found.told && found.uid == object.uid) measured = found.told->measured;
  ServiceScaler::Given given;
  for (const ScalingSpec::Variant& variant : spec.variants)
    given.push_back(given_profile(view, variant.profile));
  if (found.uid != object.uid) found = {};
  found.uid = object.uid;
  found.asked = std::move(asked);
  found.scaler = std::make_unique<ServiceScaler>(spec, given, measured);
  return found;
}

std::vector<std::pair<Key, VerdictPtr>> Autoscaler::decide(const View& view, Time now) {
  std::vector<std::pair<Key, VerdictPtr>> news;
  std::vector<std::pair<ObjectPtr, Result<ScalingSpec>>> all;
  std::map<std::string, int, std::less<>> services;  // of each model
  for (const Kind kind : {Kind::kModelService, Kind::kDeployment})
    for (ObjectPtr& object : view.list(kind))
      if (auto spec = read_scaling(*object)) {
        if (*spec) ++services[(*spec)->model];
        all.emplace_back(std::move(object), *std::move(spec));
      }
  // 1. Each service gets what was told of its model.
  std::set<Key> there;
  for (const auto& [object, spec] : all) {
    there.insert(object->key);
    ScalingVerdict verdict;
    Scaled* entry = nullptr;
    if (spec) {
      entry = &scaled(view, *object, *spec);
      const auto variant_of_pod = variants_of(view, *object);
      for (const auto& [second, demand] : fresh_)
        if (demand.model == spec->model)
          entry->scaler->on_demand(second, demand, 1.0 / services[spec->model], variant_of_pod,
                                   now);
      // 2. What its starts took.
      std::set<std::string> started;
      for (const ObjectPtr& pod : pods_of(view, *object))
        if (const auto ready = since(*pod, "Ready", "True")) {
          started.insert(pod->uid);
          if (!entry->started.contains(pod->uid))
            entry->scaler->on_started(
                variant_of_pod(fmt::format("{}/{}", pod->key.ns, pod->key.name)).value_or(0),
                *ready - pod->created);
        }
      entry->started = std::move(started);
      // 3. How many.
      verdict = entry->scaler->decide(counts_of(view, *object, *spec, now), now);
    } else {
      entry = &scaled_[object->key];
      verdict.replicas = static_cast<int>(ordered_of(*object));
      verdict.reason = spec.error().to_string();
    }
    const bool same = entry->told && entry->told->replicas == verdict.replicas &&
                      entry->told->of_variants == verdict.of_variants;
    if (same && (entry->told->reason == verdict.reason || now - entry->told_at < kReasonEvery))
      continue;
    entry->told = std::make_shared<const ScalingVerdict>(std::move(verdict));
    entry->told_at = now;
    news.emplace_back(object->key, entry->told);
  }
  fresh_.clear();
  // 4. What is not scaled any more.
  std::erase_if(scaled_, [&](const auto& entry) {
    if (there.contains(entry.first)) return false;
    news.emplace_back(entry.first, nullptr);
    return true;
  });
  return news;
}

}  // namespace berth::controllers
