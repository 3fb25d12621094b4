#include "controllers/scaling/scaling_spec.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/text.h"
#include "controllers/serving/service_spec.h"
#include "documents/service_document.h"

namespace berth::controllers {
namespace {

Result<int64_t> number(const Object& object, std::string_view annotation, int64_t fallback) {
  const std::string_view text = object.annotation(annotation);
  if (text.empty()) return fallback;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0)
    return fail(ErrorCode::kInvalid, fmt::format("{}: `{}` is not a number", annotation, text),
                to_string(object.key), "write one such as 4");
  return value;
}

/// `ttft=2s,tpot=60ms,percentile=95` as a ModelService has it.
Result<JsonObject> objective_of(const Object& object) {
  JsonObject objective;
  int64_t percentile = 95;
  for (const std::string_view part : split(object.annotation(kScaleObjective), ',')) {
    const size_t equals = std::min(part.find('='), part.size());
    const std::string_view name = part.substr(0, equals);
    const std::string_view value = part.substr(std::min(equals + 1, part.size()));
    if (name == "ttft" || name == "tpot" || name == "latency") {
      objective[name] = JsonObject{{"target", value}};
    } else if (name == "percentile") {
      std::from_chars(value.data(), value.data() + value.size(), percentile);
    } else if (!part.empty()) {
      return fail(ErrorCode::kInvalid, fmt::format("{}: `{}` is unknown", kScaleObjective, part),
                  to_string(object.key), "write ttft=2s,tpot=60ms,latency=20s,percentile=95");
    }
  }
  for (auto& [name, target] : objective) target.as_object()["percentile"] = percentile;
  return objective;
}

/// What the annotations of a Deployment say, as a ModelService would.
Result<Json> document_of(const Object& deployment) {
  BERTH_TRY(const int64_t min, number(deployment, kScaleMin, 1));
  BERTH_TRY(const int64_t max, number(deployment, kScaleMax, std::max<int64_t>(min, 1)));
  BERTH_TRY(const int64_t in_flight, number(deployment, kScaleInFlight, 64));
  BERTH_TRY(const int64_t standby, number(deployment, kScaleStandby, 0));
  BERTH_TRY(JsonObject objective, objective_of(deployment));
  JsonObject scaling{{"policy", deployment.annotation(kScalePolicy, "queueing")},
                     {"profile", deployment.annotation(kScaleProfile)},
                     {"standby", standby},
                     {"idleAfter", deployment.annotation(kScaleIdleAfter)},
                     {"holdFor", deployment.annotation(kScaleHoldFor)}};
  return JsonObject{
      {"spec", JsonObject{{"model", JsonObject{{"name", deployment.annotation(kScaleModel)}}},
                          {"engine", JsonObject{{"sequences", std::max<int64_t>(1, in_flight)}}},
                          {"replicas", JsonObject{{"min", min}, {"max", max}}},
                          {"objective", std::move(objective)},
                          {"scaling", std::move(scaling)}}}};
}

Result<ScalingSpec> read(const Object& object, const Json& json) {
  ScalingSpec spec;
  spec.model = objects::find_string(json, {"spec", "model", "name"}, object.key.name);
  const int64_t min = objects::find_int(json, {"spec", "replicas", "min"}, 1);
  spec.service.max_replicas = static_cast<int>(std::max<int64_t>(1, min));
  BERTH_CHECK(documents::read_scaled_service(json, to_string(object.key), spec.service));
  spec.service.max_in_flight =
      static_cast<int>(objects::find_int(json, {"spec", "engine", "sequences"}, 4));
  spec.service.window_s = 1;
  spec.service.tick_s = 1;
  const std::string_view policy =
      objects::find_string(json, {"spec", "scaling", "policy"}, "queueing");
  spec.policy = core::find_scaling_policy(policy);
  if (spec.policy == nullptr)
    return fail(ErrorCode::kInvalid, fmt::format("there is no scaling policy `{}`", policy),
                to_string(object.key), "write one of " + core::scaling_policy_names());
  const std::string_view profile = objects::find_string(json, {"spec", "scaling", "profile"});
  spec.standby = static_cast<int>(std::clamp<int64_t>(
      objects::find_int(json, {"spec", "scaling", "standby"}), 0, spec.service.max_replicas));
  for (const Json& row : objects::find_array(json, {"spec", "variants"}))
    spec.variants.push_back(
        {.name = std::string(objects::find_string(row, {"name"})),
         .profile = std::string(objects::find_string(row, {"profile"}, profile))});
  if (spec.variants.empty()) spec.variants.push_back({.name = {}, .profile = std::string(profile)});
  return spec;
}

}  // namespace

bool ScalingSpec::chooses() const {
  return variants.size() > 1 && policy->name == "queueing";
}

std::optional<Result<ScalingSpec>> read_scaling(const Object& object) {
  const Json& json = *object.json;
  if (object.deleting) return std::nullopt;
  if (object.key.kind == Kind::kModelService) {
    if (objects::find(json, {"spec", "objective"}) == nullptr &&
        objects::find(json, {"spec", "scaling"}) == nullptr)
      return std::nullopt;
    return read(object, json);
  }
  if (object.key.kind != Kind::kDeployment || object.annotation(kScaleModel).empty())
    return std::nullopt;
  const Result<Json> document = document_of(object);
  if (!document) return std::unexpected(document.error());
  return read(object, *document);
}

}  // namespace berth::controllers
