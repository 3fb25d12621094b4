#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "controllers/scaling/scaling_spec.h"
#include "core/scaling/serving/online_fit.h"
#include "objects/json.h"

namespace berth::controllers {

/// What is known of the replicas of one variant: the profile, refined by every answer of theirs,
/// and how long their starts take, the longest of the last five; and the policy that goes by both.
/// Where either has changed much, the policy begins anew with all that was seen.
class ReplicaModel {
 public:
  using Shapes = std::deque<core::RequestShape>;

  /// `spec` outlives it. `given`: the profile that was named, or why it cannot be had. `measured`:
  /// what an earlier one left, may be empty.
  ReplicaModel(const ScalingSpec& spec, const std::optional<Result<core::ServingProfile>>& given,
               const JsonObject& measured);

  /// `prompt_tokens_per_s` is what its server was given meanwhile.
  void on_answer(const core::ServedRequest& request, double prompt_tokens_per_s);
  void on_started(Duration lead);

  /// `closed`: windows that were seen until now; `shapes`: of the latest answers.
  core::ScalingDecision decide(const core::ServiceView& view, int64_t closed, const Shapes& shapes);
  /// How many windows there were when the policy began.
  int64_t policy_began() const { return policy_began_; }

  /// Nothing is known of it but a guess: good for one replica.
  bool is_guess() const;
  /// Would a lone request meet the objective? True until the first decision.
  bool keeps_objective() const { return keeps_objective_; }
  double lead_s() const;
  /// `a full replica takes 8.0 ms a token (+-6%), a start 3 s`, and why a profile is not used.
  std::string text() const;
  /// What was measured, for the next one.
  JsonObject measured() const;

 private:
  bool is_outdated(int64_t closed, const Shapes& shapes) const;
  void begin(int64_t closed, const Shapes& shapes);

  const ScalingSpec& spec_;
  bool guessed_ = false;    ///< nobody measured the profile
  std::string no_profile_;  ///< why the one that was named is not used
  std::optional<core::OnlineFit> fit_;
  std::deque<double> leads_s_;

  core::ServingProfile learned_;  ///< when the policy began
  core::ServingProfile profile_;  ///< the same, as the policy takes it
  double policy_lead_s_ = 0;
  double policy_output_ = 0;  ///< tokens of an answer, mean
  int64_t policy_began_ = 0;  ///< windows closed before
  bool keeps_objective_ = true;
  std::unique_ptr<core::ScalingPolicy> policy_;
};

/// A guess is good for one replica, until so many answers were measured.
inline constexpr int kMeasured = 8;

}  // namespace berth::controllers
