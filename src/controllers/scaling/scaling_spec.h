#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controllers/view.h"
#include "core/scaling/policies/scaling_policy.h"

namespace berth::controllers {

/// What asks for a Deployment to be scaled, as annotations of it: the model that requests ask for,
/// and what a ModelService has as fields. The objective is `ttft=2s,tpot=60ms,percentile=95`,
/// perhaps with `latency=20s`.
inline constexpr std::string_view kScaleModel = "berth.dev/scale-model";
inline constexpr std::string_view kScaleMin = "berth.dev/scale-min";
inline constexpr std::string_view kScaleMax = "berth.dev/scale-max";
inline constexpr std::string_view kScalePolicy = "berth.dev/scale-policy";
inline constexpr std::string_view kScaleProfile = "berth.dev/scale-profile";
inline constexpr std::string_view kScaleIdleAfter = "berth.dev/scale-idle-after";
inline constexpr std::string_view kScaleHoldFor = "berth.dev/scale-hold-for";
inline constexpr std::string_view kScaleStandby = "berth.dev/scale-standby";
inline constexpr std::string_view kScaleObjective = "berth.dev/objective";
inline constexpr std::string_view kScaleInFlight = "berth.dev/max-in-flight";
/// And what is answered there.
inline constexpr std::string_view kScalingReason = "berth.dev/scaling-reason";

/// How the load that gateways see decides on replicas.
struct ScalingSpec {
  std::string model;            ///< that requests ask for
  core::ScaledService service;  ///< but for its profile, shapes and cold start
  const core::ScalingPolicyRow* policy = nullptr;
  struct Variant {
    std::string name;     ///< empty where there is only one
    std::string profile;  ///< name of a ServingProfile; empty: none is given
  };
  std::vector<Variant> variants;  ///< at least one

  int standby = 0;  ///< replicas beyond those that the load needs, within `max_replicas`

  /// Does the policy choose among variants? Otherwise the first that has room is used.
  bool chooses() const;
};

/// Nothing for an object that is not scaled: a ModelService without `objective` and `scaling`, a
/// Deployment without the annotation. An error says why it cannot be.
std::optional<Result<ScalingSpec>> read_scaling(const Object& object);

}  // namespace berth::controllers
