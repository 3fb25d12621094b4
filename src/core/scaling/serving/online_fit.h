#pragma once

#include <array>

#include "core/scaling/serving/serving_profile.h"

namespace berth::core {

/// One answered request, as seen from the gateway.
struct ServedRequest {
  int prompt_tokens = 0;
  int output_tokens = 0;
  /// From its dispatch to its first token; negative: the answer came as a whole.
  double first_token_s = -1;
  double total_s = 0;    ///< from its dispatch to its last token
  double in_flight = 1;  ///< requests at its server, itself among them, mean
};

/// Refines the linear cost of a profile by what is measured while it serves: a Kalman filter over
/// the time of an iteration (fixed part, a sequence, a prompt token), whose state drifts slowly. A
/// request's gaps are iterations with its server's sequences; its first token takes the iterations
/// of its prompt, and half of the one under way. What is measured is taken to be good to 25%.
/// Profiles made of kernel measurements stay as they are.
class OnlineFit {
 public:
  /// `uncertainty` is that of each coefficient of `start`, relative: one standard deviation.
  OnlineFit(const ServingProfile& start, double uncertainty);

  /// `prompt_tokens_per_s` is what its server was given meanwhile.
  void observe(const ServedRequest& request, double prompt_tokens_per_s);

  const ServingProfile& profile() const { return profile_; }
  /// Of the time of an iteration with half of the sequences that the limits allow: one standard
  /// deviation, relative.
  double uncertainty() const;
  int observed() const { return observed_; }

 private:
  static constexpr size_t kSize = 3;
  using Row = std::array<double, kSize>;

  void update(const Row& row, double measured_s);
  void write_profile();

  ServingProfile profile_;
  bool linear_;
  Row mean_{};  ///< seconds: fixed part, a sequence that decodes, a prompt token
  std::array<Row, kSize> covariance_{};
  std::array<double, kSize> most_{};  ///< variances that were given at first
  int observed_ = 0;
};

}  // namespace berth::core
