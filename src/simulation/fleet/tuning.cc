#include "simulation/fleet/tuning.h"

#include <algorithm>
#include <array>

#include "simulation/fleet/comparison.h"

namespace berth::simulation {
namespace {

struct Parameter {
  double core::ScalingTuning::* field;
  std::array<double, 5> values;
};

constexpr std::array kParameters = {
    Parameter{&core::ScalingTuning::efficiency, {0.7, 0.78, 0.87, 0.94, 1.0}},
    Parameter{&core::ScalingTuning::share, {0.3, 0.6, 1, 1.4, 2}},
    Parameter{&core::ScalingTuning::hold_s, {30, 60, 120, 300, 600}},
    Parameter{&core::ScalingTuning::memory_s, {600, 1200, 1800, 2700, 3600}},
    Parameter{&core::ScalingTuning::feedback, {0, 0.06, 0.12, 0.2, 0.3}},
};

/// One part of the workload with what came before it as lead-in.
class Part {
 public:
  Part(const RequestLoad& workload, const core::ScaledService& service, double from_s, double to_s)
      : service_(service) {
    const double lead_in_s = std::min(from_s, 900.0);
    workload_ = part_of(workload, from_s - lead_in_s, to_s);
    warm_up_s_ = lead_in_s;
    service_.shapes = shapes_of(workload_);
  }

  FleetOutcome play(const core::ScalingTuning& tuning) const {
    FleetRun run;
    run.workload = &workload_;
    run.service = service_;
    run.service.tuning = tuning;
    run.warm_up_s = warm_up_s_;
    run.initial_replicas = replicas_for_mean(workload_, service_);
    return run_fleet(run, *core::find_scaling_policy("queueing"));
  }

 private:
  core::ScaledService service_;
  RequestLoad workload_;
  double warm_up_s_ = 0;
};

bool better(const FleetOutcome& a, const FleetOutcome& b, double attainment) {
  const bool a_keeps = a.attainment() >= attainment, b_keeps = b.attainment() >= attainment;
  if (a_keeps != b_keeps) return a_keeps;
  return a_keeps ? a.device_s < b.device_s : a.attainment() > b.attainment();
}

}  // namespace

bool TunedPolicy::proven(double attainment) const {
  const double kept = std::min(attainment, before_held_out.attainment());
  return after_held_out.attainment() >= kept &&
         (after_held_out.device_s < before_held_out.device_s ||
          (before_held_out.attainment() < attainment &&
           after_held_out.attainment() > before_held_out.attainment()));
}

TunedPolicy tune_policy(const RequestLoad& workload, const core::ScaledService& service,
                        double share) {
  const double split_s = workload.length_s * share;
  const Part searched(workload, service, 0, split_s);
  const Part held_out(workload, service, split_s, workload.length_s);
  // What just keeps the objective where it was searched would just not keep it elsewhere.
  const double attainment = 1 - 0.5 * (1 - service.objective.attainment);
  TunedPolicy tuned;
  tuned.tuning = service.tuning;
  tuned.before = tuned.after = searched.play(service.tuning);
  tuned.tried = 1;
  for (int round = 0; round < 2; ++round) {
    for (const Parameter& parameter : kParameters) {
      for (const double value : parameter.values) {
        core::ScalingTuning candidate = tuned.tuning;
        if (candidate.*parameter.field == value) continue;
        candidate.*parameter.field = value;
        const FleetOutcome outcome = searched.play(candidate);
        ++tuned.tried;
        if (!better(outcome, tuned.after, attainment)) continue;
        tuned.after = outcome;
        tuned.tuning = candidate;
      }
    }
  }
  tuned.before_held_out = held_out.play(service.tuning);
  tuned.after_held_out = held_out.play(tuned.tuning);
  return tuned;
}

}  // namespace berth::simulation
