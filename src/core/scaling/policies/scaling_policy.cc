#include "core/scaling/policies/scaling_policy.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/scaling/policies/hpa.h"
#include "core/scaling/policies/kpa.h"
#include "core/scaling/policies/queueing.h"
#include "core/scaling/policies/saturation.h"
#include "core/scaling/policies/throughput.h"

namespace berth::core {
namespace {

constexpr std::array kPolicies = {
    ScalingPolicyRow{"queueing",
                     "Berth's: the fewest replicas with which the load that is foreseen, with the "
                     "bursts of late, would miss the objective seldom enough",
                     make_queueing},
    ScalingPolicyRow{"hpa", "Kubernetes: requests in flight over a target, slowly down", make_hpa},
    ScalingPolicyRow{"kpa", "Knative, AIBrix: concurrency over a stable and a panic window",
                     make_kpa},
    ScalingPolicyRow{"saturation", "vLLM, llm-d: one more when queue or KV memory fill",
                     make_saturation},
    ScalingPolicyRow{"throughput", "Dynamo: rate over what the largest fitting batch gives",
                     make_throughput},
};

}  // namespace

std::span<const ScalingPolicyRow> scaling_policies() {
  return kPolicies;
}

const ScalingPolicyRow* find_scaling_policy(std::string_view name) {
  for (const ScalingPolicyRow& row : kPolicies)
    if (row.name == name) return &row;
  return nullptr;
}

std::string scaling_policy_names() {
  std::string names;
  for (const ScalingPolicyRow& row : kPolicies)
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}

double mean_over(const ServiceView& view, double window_s, double span_s,
                 double ServiceSample::* field) {
  const auto wanted = static_cast<size_t>(std::max(1.0, std::round(span_s / window_s)));
  const size_t count = std::min(wanted, view.samples.size());
  if (count == 0) return 0;
  double sum = 0;
  for (size_t i = view.samples.size() - count; i < view.samples.size(); ++i)
    sum += view.samples[i].*field;
  return sum / static_cast<double>(count);
}

int within_bounds(const ScaledService& service, double replicas) {
  return std::clamp(static_cast<int>(std::min(replicas, 1e6)), service.min_replicas,
                    service.max_replicas);
}

double target_concurrency(const ScaledService& service) {
  const int within =
      concurrency_within(*service.profile, {.shapes = service.shapes}, service.objective.tpot_s);
  return std::max(1, std::min(within, service.max_in_flight));
}

}  // namespace berth::core
