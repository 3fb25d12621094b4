#include "controllers/serving/model_service.h"

#include <utility>

#include <fmt/format.h>

#include "controllers/conditions.h"
#include "controllers/pods.h"
#include "controllers/scaling/growth_values.h"
#include "controllers/serving/footprint.h"
#include "controllers/serving/workload.h"
#include "controllers/workloads/rollout.h"
#include "objects/patch.h"

namespace berth::controllers {
namespace {

/// What a Deployment or Service was made from, to tell when the ModelService asks for another.
constexpr std::string_view kMadeFrom = "berth.dev/made-from";
/// So long a new replica may wait for a place before an old one makes room.
constexpr Duration kPatience = Duration::seconds(5);

class ModelServiceRound {
 public:
  ModelServiceRound(const View& view, ObjectPtr service, Time now)
      : view_(view), service_(std::move(service)), now_(now), spec_(ServiceSpec::read(*service_)) {}

  Outcome run() {
    if (service_->deleting || spec_.engine == nullptr) return {};
    // 1. Which variants can run at all?
    const std::vector<int64_t> wanted = spec_.wanted_replicas(*service_);
    const std::vector<std::string> obstacles = find_obstacles();
    // 2. One Deployment for each, one Service for all.
    auto growth =
        GrowthValues::parse(objects::find_string(*service_->json, {"status", "growthValues"}));
    for (size_t i = 0; i < spec_.variants.size(); ++i) {
      const int64_t replicas = obstacles[i].empty() ? wanted[i] : 0;
      ensure_deployment(spec_.variants[i], replicas, growth ? growth->text() : "");
      if (growth) growth->drop(replicas);
    }
    ensure(Kind::kService, service_of(spec_));
    remove_others();
    // 3. Say so.
    write_status();
    return std::move(outcome_);
  }

 private:
  std::vector<std::string> find_obstacles() {
    std::vector<std::string> obstacles(spec_.variants.size());
    const auto header = spec_.is_local()
                            ? view_.model_header(spec_.model)
                            : fail(ErrorCode::kUnsupported, "the engine fetches the model itself");
    std::string all;
    for (size_t i = 0; header && i < spec_.variants.size(); ++i) {
      auto why = why_it_cannot_fit(view_, *header, spec_, spec_.variants[i]);
      if (!why) continue;
      obstacles[i] = std::move(*why);
      all += fmt::format("{}{}{}", all.empty() ? "" : "; ", variant_prefix(spec_.variants[i]),
                         obstacles[i]);
    }
    if (!all.empty()) {
      const Json* before = find_condition(*service_->json, "Fits");
      if (before == nullptr || objects::find_string(*before, {"message"}) != all)
        outcome_.notes.push_back({service_, true, "DoesNotFit", all});
      conditions_.push_back({"Fits", "False", "DoesNotFit", std::move(all)});
    } else if (header) {
      const Footprint need = footprint_of(*header, spec_);
      conditions_.push_back({"Fits", "True", "Fits",
                             fmt::format("a replica needs about {} MiB", need.total() >> 20)});
    } else if (header.error().code == ErrorCode::kNotFound) {
      conditions_.push_back({"Fits", "False", "ModelNotFound", header.error().to_string()});
      obstacles.assign(obstacles.size(), header.error().what);
    } else {
      conditions_.push_back({"Fits", "Unknown", "NotRead", header.error().to_string()});
    }
    return obstacles;
  }

  static std::string variant_prefix(const VariantSpec& variant) {
    return variant.name.empty() ? "" : fmt::format("variant {}: ", variant.name);
  }

  /// `growth`: what its replicas beyond the minimum are worth; empty: not known.
  void ensure_deployment(const VariantSpec& variant, int64_t replicas, const std::string& growth) {
    Json wanted = deployment_of(spec_, variant);
    names_.push_back(spec_.deployment_name(variant));
    wanted_replicas_ += replicas;
    const ObjectPtr deployment = find_own(Kind::kDeployment, names_.back());
    if (deployment == nullptr) {
      objects::ensure_object(wanted, {"spec"})["replicas"] = replicas;
      if (!growth.empty())
        objects::ensure_object(wanted, {"metadata", "annotations"})[kGrowthValues] = growth;
    }
    ensure(Kind::kDeployment, std::move(wanted));
    JsonObject status{{"name", variant.name.empty() ? "default" : variant.name},
                      {"deployment", names_.back()},
                      {"replicas", replicas},
                      {"ready", 0}};
    if (deployment != nullptr) {
      const int64_t ready = objects::find_int(*deployment->json, {"status", "readyReplicas"});
      ready_ += ready;
      status["ready"] = ready;
      Json change = JsonObject{};
      if (objects::find_int(*deployment->json, {"spec", "replicas"}, 1) != replicas)
        objects::ensure_object(change, {"spec"})["replicas"] = replicas;
      if (!growth.empty() && deployment->annotation(kGrowthValues) != growth)
        objects::ensure_object(change, {"metadata", "annotations"})[kGrowthValues] = growth;
      if (!change.get_object().empty())
        outcome_.writes.push_back(patch(*deployment, std::move(change)));
      make_room(*deployment);
    }
    variants_.push_back(std::move(status));
  }

  /// A new version starts beside the old one. Where there is no room for both, one of the old
  /// replicas goes first, for as long as the change lasts.
  void make_room(const Object& deployment) {
    const Json& json = *deployment.json;
    const bool changing = objects::find_int(json, {"status", "replicas"}) >
                          objects::find_int(json, {"status", "updatedReplicas"});
    const int64_t allowed =
        objects::find_int(json, {"spec", "strategy", "rollingUpdate", "maxUnavailable"}, 0);
    const bool stuck = changing && allowed == 0 && waits_for_room(deployment);
    if (stuck)
      outcome_.notes.push_back({service_, false, "NoRoomBeside",
                                "there is no room for a new replica beside the old ones: one of "
                                "these is stopped first"});
    const int64_t wanted = stuck || (changing && allowed > 0) ? 1 : 0;
    if (wanted == allowed) return;
    const JsonObject strategy{{"rollingUpdate", JsonObject{{"maxUnavailable", wanted}}}};
    outcome_.writes.push_back(
        patch(deployment, JsonObject{{"spec", JsonObject{{"strategy", strategy}}}}));
  }

  /// Has a replica of the variant been waiting for a place for a while?
  bool waits_for_room(const Object& deployment) {
    for (const ObjectPtr& pod : view_.list(Kind::kPod, service_->key.ns)) {
      if (!is_active(*pod) || is_bound(*pod) || pod->label(kVariantLabel) != deployment.key.name)
        continue;
      const Json* scheduled = find_condition(*pod->json, "PodScheduled");
      if (scheduled == nullptr || objects::find_string(*scheduled, {"status"}) != "False") continue;
      const Time patient_until = pod->created + kPatience;
      if (patient_until <= now_) return true;
      outcome_.look_again(patient_until);
    }
    return false;
  }

  /// Makes or changes one of the objects that belong to the service.
  void ensure(Kind kind, Json wanted) {
    const std::string hash = template_hash(followed(kind, wanted), 0);
    const std::string name(objects::find_string(wanted, {"metadata", "name"}));
    const Key key{kind, service_->key.ns, name};
    const ObjectPtr there = view_.find(key);
    if (there == nullptr) {
      objects::ensure_object(wanted, {"metadata", "annotations"})[kMadeFrom] = hash;
      objects::ensure_object(wanted, {"metadata"})["ownerReferences"] =
          JsonArray{owner_reference(*service_)};
      Write write = create(kind, service_->key.ns, std::move(wanted));
      write.on_behalf_of = service_;
      outcome_.writes.push_back(std::move(write));
      return;
    }
    const OwnerRef* owner = there->controller();
    if (owner == nullptr || owner->uid != service_->uid) {
      conditions_.push_back(
          {"Progressing", "False", "NameTaken",
           fmt::format("{} is not this service's; delete or rename one of them", to_string(key))});
    } else if (there->annotation(kMadeFrom) != hash) {
      // Null what was there and is not wanted any more; the server sets its defaults again.
      Json change =
          objects::merge_patch_between(changeable(kind, *there->json), changeable(kind, wanted));
      objects::ensure_object(change, {"metadata", "annotations"})[kMadeFrom] = hash;
      outcome_.writes.push_back(patch(*there, std::move(change)));
    }
  }

  /// What a change of is a change of the object.
  static JsonObject followed(Kind kind, const Json& wanted) {
    if (kind == Kind::kService) return changeable(kind, wanted).as_object();
    return objects::find_object(wanted, {"spec"});
  }

  /// The part of it that follows the ModelService.
  static Json changeable(Kind kind, const Json& object) {
    const std::string_view part = kind == Kind::kDeployment ? "template" : "ports";
    const Json* value = objects::find(object, {"spec", part});
    JsonObject spec;
    if (value != nullptr) spec[part] = *value;
    JsonObject followed{{"spec", std::move(spec)}};
    if (kind == Kind::kService) {
      JsonObject annotations;
      for (const std::string_view name : kServiceAnnotations)
        if (const Json* set = objects::find(object, {"metadata", "annotations", name}))
          annotations[name] = *set;
      followed["metadata"] = JsonObject{{"annotations", std::move(annotations)}};
    }
    return followed;
  }

  ObjectPtr find_own(Kind kind, const std::string& name) const {
    const ObjectPtr there = view_.find({kind, service_->key.ns, name});
    const OwnerRef* owner = there == nullptr ? nullptr : there->controller();
    return owner != nullptr && owner->uid == service_->uid ? there : nullptr;
  }

  /// Deployments of variants that are no longer asked for.
  void remove_others() {
    for (const ObjectPtr& other : view_.controlled(service_->uid, Kind::kDeployment))
      if (std::find(names_.begin(), names_.end(), other->key.name) == names_.end() &&
          !other->deleting)
        outcome_.writes.push_back(remove(*other));
  }

  void write_status() {
    const Json& json = *service_->json;
    JsonObject status = objects::find_object(json, {"status"});  // scaling writes here too
    status["observedGeneration"] = objects::find_int(json, {"metadata", "generation"});
    status["replicas"] = wanted_replicas_;
    status["readyReplicas"] = ready_;
    status["variants"] = std::move(variants_);
    JsonArray conditions = objects::find_array(json, {"status", "conditions"});
    drop_condition(conditions, "Progressing");
    for (const Condition& condition : conditions_) set_condition(conditions, condition, now_);
    const bool enough = ready_ >= spec_.min;
    set_condition(conditions,
                  {"Available", enough ? "True" : "False", enough ? "EnoughReady" : "TooFewReady",
                   fmt::format("{} of at least {} replicas answer", ready_, spec_.min)},
                  now_);
    status["conditions"] = std::move(conditions);
    if (auto write = patch_status_to(*service_, status))
      outcome_.writes.push_back(std::move(*write));
  }

  const View& view_;
  const ObjectPtr service_;
  const Time now_;
  const ServiceSpec spec_;
  Outcome outcome_;
  std::vector<Condition> conditions_;
  std::vector<std::string> names_;
  JsonArray variants_;
  int64_t wanted_replicas_ = 0;
  int64_t ready_ = 0;
};

Outcome reconcile(const View& view, const Key& key, Time now) {
  ObjectPtr service = view.find(key);
  return service == nullptr ? Outcome{} : ModelServiceRound(view, std::move(service), now).run();
}

void affected(const View& view, const Object& object, std::vector<Key>& keys) {
  if (object.key.kind == Kind::kModelService) keys.push_back(object.key);
  // Another device may make room for what did not fit.
  if (object.key.kind == Kind::kNode)
    for (const ObjectPtr& service : view.list(Kind::kModelService)) keys.push_back(service->key);
  if (object.key.kind == Kind::kPod && !object.label(kModelServiceLabel).empty())
    keys.push_back(
        {Kind::kModelService, object.key.ns, std::string(object.label(kModelServiceLabel))});
  if (object.key.kind != Kind::kDeployment && object.key.kind != Kind::kService) return;
  const OwnerRef* owner = object.controller();
  if (owner != nullptr && owner->kind == "ModelService")
    keys.push_back({Kind::kModelService, object.key.ns, owner->name});
}

}  // namespace

const Controller kModelService = {"model-service", &affected, &reconcile};

}  // namespace berth::controllers
