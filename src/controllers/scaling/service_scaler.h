#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/money.h"
#include "base/time.h"
#include "controllers/scaling/replica_model.h"
#include "controllers/scaling/scaling_spec.h"
#include "controllers/scaling/verdict.h"
#include "core/scaling/policies/sample_history.h"
#include "core/scaling/variants/variant_choice.h"
#include "documents/demand_report.h"

namespace berth::controllers {

/// Replicas as they are now.
struct ReplicaCounts {
  int ordered = 0;  ///< that there are to be, as decided before
  int ready = 0;
  int unplaceable = 0;  ///< have been told for 10 s that no node takes them
  std::string why_unplaceable = {};
};

/// A variant's, and what it takes to have them.
struct VariantCounts : ReplicaCounts {
  Money per_hour = {};        ///< of a replica
  std::string obstacle = {};  ///< why none can run; empty: they can
};

/// A service's; of each variant too, in the order of the spec, where the policy chooses.
struct ServiceCounts : ReplicaCounts {
  std::vector<VariantCounts> variants = {};
};

/// Decides on one service: the same policies as in simulation, on what gateways report.
///
/// Their clock is that of the reports: it stands still while no gateway tells anything, so that
/// silence is never taken for quiet. Beside the policies: from zero with the first request that is
/// held; never fewer than the requests that run need; and where a replica cannot be placed, one at
/// a time is asked for. Of several variants each has a policy that goes by its own profile and
/// tells how many of it the load needs; `VariantChoice` makes the mix.
///
/// Fed in the order of time; equal inputs give equal verdicts.
class ServiceScaler {
 public:
  /// By variant: its profile, where one was named, or why it cannot be had.
  using Given = std::vector<std::optional<Result<core::ServingProfile>>>;
  /// Which variant a pod (`namespace/name`) is of; nothing: none of this service's.
  using VariantOf = std::function<std::optional<size_t>(const std::string& pod)>;

  /// `measured`: what an earlier one left in its verdict, may be empty.
  ServiceScaler(ScalingSpec spec, const Given& given, const JsonObject& measured);
  ServiceScaler(const ServiceScaler&) = delete;
  ServiceScaler& operator=(const ServiceScaler&) = delete;

  const ScalingSpec& spec() const { return spec_; }

  /// `share` of it is this service's.
  void on_demand(int64_t second, const documents::ModelDemand& demand, double share,
                 const VariantOf& variant_of, Time now);
  void on_started(size_t variant, Duration lead);
  ScalingVerdict decide(const ServiceCounts& counts, Time now);

 private:
  struct Served {
    core::ServedRequest request;
    std::optional<size_t> variant;
  };
  struct Window {
    core::ServiceSample sample;
    std::vector<Served> served;
  };

  void close_windows(int ready, Time now);
  void close(const Window& window, int ready);
  int wanted_before() const;
  bool is_held(Time now) const;
  int needed_for_what_runs(const ReplicaCounts& counts) const;
  ScalingVerdict decide_count(const ReplicaCounts& counts, Time now);
  ScalingVerdict decide_mix(const ServiceCounts& counts, Time now);
  std::vector<core::VariantView> view_variants(const ServiceCounts& counts, Time now);
  void say_why(const ServiceCounts& counts, const std::vector<core::VariantView>& views,
               const core::VariantDecision& chosen, ScalingVerdict& verdict) const;
  std::string circumstances() const;
  JsonObject measured() const;

  const ScalingSpec spec_;
  std::deque<ReplicaModel> models_;        ///< by variant; one where the policy does not choose
  std::deque<core::RequestShape> shapes_;  ///< of the latest answers

  std::map<int64_t, Window> open_;  ///< by second
  int64_t last_closed_ = 0;
  core::SampleHistory history_;
  int64_t closed_ = 0;
  std::optional<Time> held_at_;
  std::optional<Time> heard_at_;

  std::vector<core::ScalingDecision> decisions_;  ///< by model
  int64_t decided_ = -1;                          ///< windows closed before
  struct Wanted {
    int64_t window;
    int replicas;
  };
  std::deque<Wanted> wanted_;  ///< of late: a policy that begins anew does not know

  core::VariantChoice choice_;
  /// A variant of which no node took one more, beyond so many, and until when that counts.
  struct Full {
    int placed = 0;
    Time until{};
    std::string why;
  };
  std::vector<Full> full_;  ///< by variant
};

}  // namespace berth::controllers
