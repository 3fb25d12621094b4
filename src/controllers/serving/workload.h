#pragma once

#include <array>

#include "controllers/serving/service_spec.h"

namespace berth::controllers {

/// Marks what belongs to a ModelService, with its name; pods, Deployments and the Service have it.
inline constexpr std::string_view kModelServiceLabel = "berth.dev/model-service";
/// On the pods of a variant: the name of its Deployment.
inline constexpr std::string_view kVariantLabel = "berth.dev/variant";
/// On the Service: the name of the model that requests ask for.
inline constexpr std::string_view kModelNameAnnotation = "berth.dev/model-name";
/// And how many requests each of its servers answers at once.
inline constexpr std::string_view kMaxInFlightAnnotation = "berth.dev/max-in-flight";
/// And where one says that it is well, which gateways ask as well.
inline constexpr std::string_view kHealthPathAnnotation = "berth.dev/health-path";
/// And what is asked of its answers: `ttft=2s,tpot=60ms`.
inline constexpr std::string_view kObjectiveAnnotation = "berth.dev/objective";
inline constexpr std::array kServiceAnnotations = {kModelNameAnnotation, kMaxInFlightAnnotation,
                                                   kHealthPathAnnotation, kObjectiveAnnotation};
/// On the pods: where the engine says how many requests it has, `PORT/PATH METRIC[,METRIC]`.
inline constexpr std::string_view kBusyAnnotation = "berth.dev/busy-metrics";

/// The Deployment of one variant, without its number of replicas.
Json deployment_of(const ServiceSpec& spec, const VariantSpec& variant);

/// The Service under the ModelService's own name: port 80 of its replicas, whatever their variant.
Json service_of(const ServiceSpec& spec);

}  // namespace berth::controllers
