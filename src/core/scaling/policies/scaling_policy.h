#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/scaling/serving/steady_state.h"

namespace berth::core {

/// What was seen of a service during one window; the windows of a service are equally long.
struct ServiceSample {
  double arrivals = 0;
  double prompt_tokens = 0;   ///< of what arrived
  double prompt_tokens2 = 0;  ///< their squares
  double ended = 0;           ///< answered to the last token
  double output_tokens = 0;   ///< of what ended
  double missed = 0;          ///< refused, or answered outside the objective
  double concurrency = 0;     ///< requests that wait or are served, mean
  double waiting = 0;         ///< of these, not begun: in the gateway and in engines, mean
  double kv_used = 0;         ///< share of the ready replicas' KV memory, mean
};

/// What `berth tune` may change of the default policy.
struct ScalingTuning {
  double memory_s = 3600;    ///< how long what was seen counts
  double hold_s = 120;       ///< how long a replica is kept after it was last wanted
  double efficiency = 0.87;  ///< of a replica's capacity, as the fleet uses it
  double share = 0.6;        ///< of the misses allowed that are planned for
  double feedback = 0.12;    ///< how strongly misses seen correct the efficiency
  double idle_to_zero_s = 300;
};

/// What is fixed of a service while a policy works for it.
struct ScaledService {
  const ServingProfile* profile = nullptr;  ///< outlives the policy
  ServingObjective objective;
  int min_replicas = 0;
  int max_replicas = 100;
  double cold_start_s = 60;          ///< from the order to ready
  double window_s = 1;               ///< of a sample
  double tick_s = 5;                 ///< between decisions
  int max_in_flight = 128;           ///< that the gateway lets a replica have
  std::vector<RequestShape> shapes;  ///< lengths to expect before any were seen
  ScalingTuning tuning;
  bool unrounded = false;  ///< decisions say `needed`
};

/// What a policy decides on. Samples run to now, the latest last; old ones are forgotten after
/// `kSampleMemory` windows.
struct ServiceView {
  double now_s = 0;
  std::span<const ServiceSample> samples;
  int ready = 0;
  int starting = 0;
};
inline constexpr size_t kSampleMemory = 3600;

struct ScalingDecision {
  int replicas = 0;    ///< to have, within the service's bounds
  std::string reason;  ///< why, in one clause, for `berth explain`
  /// What the first, second, ... replica above `min` is worth: objective misses avoided a second,
  /// falling. (A device-second's worth is that over the devices of a replica.) Empty where a policy
  /// knows no such thing.
  std::vector<double> marginal_values;
  /// Where `unrounded` is asked for, under `queueing`: replicas that the load foreseen needs now,
  /// whatever the bounds; 0: idle. To within 1%.
  double needed = 0;
};

/// How many replicas. Part of the state: fed by views, in order of time; no clock, no IO; equal
/// views give equal decisions.
class ScalingPolicy {
 public:
  virtual ~ScalingPolicy() = default;
  virtual ScalingDecision decide(const ServiceView& view) = 0;
};

struct ScalingPolicyRow {
  std::string_view name;
  std::string_view idea;
  std::unique_ptr<ScalingPolicy> (*make)(const ScaledService&);
};

/// All of them, in the order in which documentation shows them. A new one is a file and a row here.
std::span<const ScalingPolicyRow> scaling_policies();
/// Null where none has this name.
const ScalingPolicyRow* find_scaling_policy(std::string_view name);
std::string scaling_policy_names();

/// The mean of a field over the latest windows that make up `span_s` (at least one); 0 of none.
double mean_over(const ServiceView& view, double window_s, double span_s,
                 double ServiceSample::* field);

int within_bounds(const ScaledService& service, double replicas);
/// Requests in flight at which a replica is full: what its gateway and its TPOT objective allow.
double target_concurrency(const ScaledService& service);

}  // namespace berth::core
