#include "core/model/past/durations.h"

#include <algorithm>
#include <cmath>

#include <boost/math/special_functions/erf.hpp>

namespace berth::core {
namespace {

double below(double z) {
  return 0.5 * std::erfc(-z / std::sqrt(2.0));
}

double quantile(double probability) {
  return -std::sqrt(2.0) * boost::math::erfc_inv(2 * probability);
}

/// Nothing takes shorter, or is asked about closer, than this.
constexpr double kLeastSeconds = 0.001;

}  // namespace

void DurationMemory::add(std::string_view owner, std::string_view queue, Duration took) {
  auto known = owners_.find(owner);
  if (known == owners_.end()) {
    if (owners_.size() == kOwners)
      owners_.erase(std::min_element(
          owners_.begin(), owners_.end(),
          [](const auto& a, const auto& b) { return a.second.heard < b.second.heard; }));
    known = owners_.emplace(std::string(owner), Past{}).first;
  }
  Past& past = known->second;
  past.heard = next_++;
  past.queue = queue;
  if (past.milliseconds.size() == kPerOwner) past.milliseconds.erase(past.milliseconds.begin());
  past.milliseconds.push_back(std::max<int64_t>(1, took.to_milliseconds()));
}

std::span<const int64_t> DurationMemory::of(std::string_view owner) const {
  const auto known = owners_.find(owner);
  if (known == owners_.end()) return {};
  return known->second.milliseconds;
}

Duration DurationBelief::at_most(double probability, Duration elapsed) const {
  const double spent = std::max(kLeastSeconds, elapsed.to_seconds());
  if (deviation <= 0) return Duration::from_seconds(std::exp(mean));
  const double gone = below((std::log(spent) - mean) / deviation);
  // Far out in the tail there is no telling: it takes about as long again.
  if (gone > 1 - 1e-9) return Duration::from_seconds(spent * (1 + probability));
  const double z = quantile(gone + (1 - gone) * probability);
  return Duration::from_seconds(std::max(spent, std::exp(mean + deviation * z)));
}

std::optional<DurationBelief> learned_belief(std::span<const int64_t> milliseconds) {
  if (milliseconds.size() < kFewestDurations) return std::nullopt;
  const auto count = static_cast<double>(milliseconds.size());
  double sum = 0;
  double squares = 0;
  for (int64_t each : milliseconds) {
    const double seconds = std::log(static_cast<double>(each) / 1000);
    sum += seconds;
    squares += seconds * seconds;
  }
  const double mean = sum / count;
  const double variance = std::max(0.0, (squares - sum * mean) / (count - 1));
  // A prediction from few samples: the mean is uncertain too, and so is the variance (the factor is
  // that of Student's t with count - 1 degrees of freedom, by its variance).
  const double wider = (1 + 1 / count) * (count - 1) / (count - 3);
  return DurationBelief{mean, std::max(0.01, std::sqrt(variance * wider)), milliseconds.size()};
}

}  // namespace berth::core
