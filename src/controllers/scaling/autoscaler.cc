#include "controllers/scaling/autoscaler.h"

#include <algorithm>

#include <fmt/format.h>

#include "controllers/conditions.h"
#include "controllers/pods.h"
#include "controllers/scaling/scaling.h"
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

ReplicaCounts counts_of(const View& view, const Object& object, Time now) {
  ReplicaCounts counts{.ordered = static_cast<int>(ordered_of(object)), .why_unplaceable = {}};
  for (const ObjectPtr& pod : pods_of(view, object)) {
    if (!is_active(*pod)) continue;
    counts.ready += is_ready(*pod) ? 1 : 0;
    if (is_bound(*pod) || pod->created + kPlacementPatience > now) continue;
    const Json* scheduled = find_condition(*pod->json, "PodScheduled");
    if (scheduled == nullptr || objects::find_string(*scheduled, {"status"}) != "False") continue;
    ++counts.unplaceable;
    counts.why_unplaceable = objects::find_string(*scheduled, {"message"});
  }
  return counts;
}

/// All of an object that its scaler is made from.
std::string asked_of(const View& view, const Object& object, const ScalingSpec& spec) {
  std::string text;
  if (object.key.kind == Kind::kModelService) {
    text = objects::canonical_json(objects::find_object(*object.json, {"spec"}));
  } else {
    for (const std::string_view name :
         {kScaleModel, kScaleMin, kScaleMax, kScalePolicy, kScaleProfile, kScaleIdleAfter,
          kScaleHoldFor, kScaleObjective, kScaleInFlight})
      text += fmt::format("{}\n", object.annotation(name));
  }
  if (const ObjectPtr profile = view.find({Kind::kServingProfile, "", spec.profile}))
    text += profile->resource_version;
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
  std::optional<Result<core::ServingProfile>> given;
  if (const ObjectPtr profile = view.find({Kind::kServingProfile, "", spec.profile})) {
    given = documents::profile_from_document(*profile->json, to_string(profile->key));
  } else if (!spec.profile.empty()) {
    given = fail(ErrorCode::kNotFound, "there is no such ServingProfile", spec.profile,
                 "make it with `berth profile fit` and `berth apply`");
  }
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
      for (const auto& [second, demand] : fresh_)
        if (demand.model == spec->model)
          entry->scaler->on_demand(second, demand, 1.0 / services[spec->model], now);
      // 2. What its starts took.
      std::set<std::string> started;
      for (const ObjectPtr& pod : pods_of(view, *object))
        if (const auto ready = since(*pod, "Ready", "True")) {
          started.insert(pod->uid);
          if (!entry->started.contains(pod->uid)) entry->scaler->on_started(*ready - pod->created);
        }
      entry->started = std::move(started);
      // 3. How many.
      verdict = entry->scaler->decide(counts_of(view, *object, now), now);
    } else {
      entry = &scaled_[object->key];
      verdict.replicas = static_cast<int>(ordered_of(*object));
      verdict.reason = spec.error().to_string();
    }
    const bool same = entry->told && entry->told->replicas == verdict.replicas;
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
