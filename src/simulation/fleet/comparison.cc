#include "simulation/fleet/comparison.h"

#include <algorithm>
#include <cmath>

#include "core/scaling/serving/work_rates.h"
#include "simulation/fleet/oracle.h"

namespace berth::simulation {

std::string Contender::name() const {
  return std::string(policy->name) + (gateway == FleetGateway::kPlain ? "+plain" : "");
}

std::vector<core::RequestShape> shapes_of(const RequestLoad& workload, size_t count) {
  std::vector<core::RequestShape> shapes;
  const size_t step = std::max<size_t>(1, workload.requests.size() / count);
  for (size_t i = 0; i < workload.requests.size() && shapes.size() < count; i += step)
    shapes.push_back({workload.requests[i].prompt_tokens, workload.requests[i].output_tokens});
  return shapes;
}

int replicas_for_mean(const RequestLoad& workload, const core::ScaledService& service) {
  const core::WorkRates rates = core::work_rates(
      *service.profile, service.shapes, core::planned(service.objective, service.shapes).tpot_s,
      service.max_in_flight);
  double work_s = 0;
  for (const FleetRequest& request : workload.requests)
    work_s += rates.work_s(request.prompt_tokens, request.output_tokens);
  const double replicas = 1.1 * work_s / std::max(1.0, workload.length_s) / rates.capacity;
  return std::max({1, service.min_replicas, static_cast<int>(std::ceil(replicas))});
}

Comparison compare_fleets(const ComparisonRun& run) {
  Comparison comparison;
  for (const Contender& contender : run.contenders)
    comparison.contenders.push_back({contender.name(), {}, {}});
  for (const uint64_t seed : run.seeds) {
    RequestLoad workload = run.workload(seed);
    const double lead_in_s = std::min(run.lead_in_s, workload.length_s);
    if (lead_in_s > 0) workload = with_lead_in(workload, lead_in_s);
    FleetRun fleet;
    fleet.workload = &workload;
    fleet.service = run.service;
    fleet.service.shapes = shapes_of(workload);
    fleet.warm_up_s = lead_in_s;
    fleet.initial_replicas = replicas_for_mean(workload, fleet.service);
    std::optional<ScheduleOracle> oracle;
    if (run.oracle) {
      oracle.emplace(fleet, 4 * fleet.initial_replicas + 4);
      comparison.static_peak.push_back(oracle->static_peak(run.service.objective.attainment));
    }
    for (size_t i = 0; i < run.contenders.size(); ++i) {
      fleet.gateway = run.contenders[i].gateway;
      ContenderResult& result = comparison.contenders[i];
      result.by_seed.push_back(run_fleet(fleet, *run.contenders[i].policy));
      if (oracle)
        result.oracle.push_back(oracle->with_attainment(result.by_seed.back().attainment()));
    }
  }
  return comparison;
}

}  // namespace berth::simulation
