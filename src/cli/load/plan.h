#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "traces/serving/request_log.h"

namespace berth::cli {

/// A length in tokens: `128`, `uniform:16..256`, `exp:128`, `lognormal:128:1.5` (mean and CV).
class Length {
 public:
  static Result<Length> parse(const std::string& option, const std::string& text);
  /// At least 1.
  int draw(Rng& rng) const;
  /// All lengths so many times as long.
  Length times(double factor) const;

 private:
  enum class Kind { kFixed, kUniform, kExponential, kLognormal };

  Kind kind_ = Kind::kFixed;
  double a_ = 1, b_ = 0;
};

enum class Arrivals { kPoisson, kGamma, kClosed, kTrace };

struct LoadShape {
  Arrivals arrivals = Arrivals::kPoisson;
  double rate_per_s = 1;  ///< of kPoisson and kGamma
  double cv = 1;          ///< of the gaps of kGamma
  int64_t requests = 0;   ///< 0: no limit
  double duration_s = 0;  ///< 0: no limit; one of the two is set, but for a trace
  Length input, output;
  double speed = 1;  ///< of a trace: 2 plays it in half the time
};

/// A request that is to be sent.
struct PlannedRequest {
  double at_s = 0;  ///< since the start; of no meaning where the load is closed
  int input_tokens = 1;
  int output_tokens = 1;
};

/// Draws the requests of a load, one after the other: the same for the same seed, however the
/// server answers.
class LoadPlan {
 public:
  LoadPlan(LoadShape shape, std::vector<traces::ServedRequest> trace, uint64_t seed)
      : shape_(shape), trace_(std::move(trace)), rng_(seed) {}

  /// False at the end of the load.
  bool next(PlannedRequest& request);

 private:
  const LoadShape shape_;
  const std::vector<traces::ServedRequest> trace_;
  Rng rng_;
  int64_t drawn_ = 0;
  double at_s_ = 0;
};

}  // namespace berth::cli
