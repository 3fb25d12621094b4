#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "controllers/scaling/scaling_spec.h"
#include "controllers/scaling/verdict.h"
#include "core/scaling/policies/sample_history.h"
#include "core/scaling/serving/online_fit.h"
#include "documents/demand_report.h"

namespace berth::controllers {

/// A service's replicas as they are now.
struct ReplicaCounts {
  int ordered = 0;  ///< that there are to be, as decided before
  int ready = 0;
  int unplaceable = 0;  ///< have been told for 10 s that no node takes them
  std::string why_unplaceable;
};

/// Decides on one service: the same policies as in simulation, on what gateways report.
///
/// Their clock is that of the reports: it stands still while no gateway tells anything, so that
/// silence is never taken for quiet. The profile is refined by every answered request, and the lead
/// time is the longest of the last five starts; where either has changed much, the policy begins
/// anew with all that was seen. Beside the policies: from zero with the first request that is held;
/// never fewer than the requests that run need; and where a replica cannot be placed, one at a time
/// is asked for.
///
/// Fed in the order of time; equal inputs give equal verdicts.
class ServiceScaler {
 public:
  /// `given`: of `spec.profile`, or why it cannot be had; the reasons say so. `measured`: what an
  /// earlier one left in its verdict, may be empty.
  ServiceScaler(ScalingSpec spec, const std::optional<Result<core::ServingProfile>>& given,
                const JsonObject& measured);
  ServiceScaler(const ServiceScaler&) = delete;
  ServiceScaler& operator=(const ServiceScaler&) = delete;

  const ScalingSpec& spec() const { return spec_; }

  /// `share` of it is this service's.
  void on_demand(int64_t second, const documents::ModelDemand& demand, double share, Time now);
  void on_started(Duration lead);
  ScalingVerdict decide(const ReplicaCounts& counts, Time now);

 private:
  struct Window {
    core::ServiceSample sample;
    std::vector<core::ServedRequest> served;
  };

  void close_windows(int ready, Time now);
  void close(const Window& window, int ready);
  double lead_s() const;
  double output_tokens() const;
  int wanted_before() const;
  bool policy_is_outdated() const;
  void begin_policy();
  std::string circumstances() const;
  JsonObject measured() const;

  const ScalingSpec spec_;
  bool guessed_ = false;    ///< nobody measured the profile
  std::string no_profile_;  ///< why the one that was named is not used
  std::optional<core::OnlineFit> fit_;
  std::deque<double> leads_s_;
  std::deque<core::RequestShape> shapes_;  ///< of the latest answers

  std::map<int64_t, Window> open_;  ///< by second
  int64_t last_closed_ = 0;
  core::SampleHistory history_;
  int64_t closed_ = 0;
  std::optional<Time> held_at_;
  std::optional<Time> heard_at_;

  core::ServingProfile learned_;  ///< when the policy began
  core::ServingProfile profile_;  ///< the same, as the policy takes it
  double policy_lead_s_ = 0;
  double policy_output_ = 0;  ///< tokens of an answer, mean
  int64_t policy_began_ = 0;  ///< windows closed before
  std::unique_ptr<core::ScalingPolicy> policy_;
  core::ScalingDecision decision_;
  int64_t decided_ = -1;  ///< windows closed before
  struct Wanted {
    int64_t window;
    int replicas;
  };
  std::deque<Wanted> wanted_;  ///< of late: a policy that begins anew does not know
};

}  // namespace berth::controllers
