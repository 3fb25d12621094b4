#pragma once

#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "base/money.h"

namespace berth::core {

/// One way to run a replica, as a part of a mix.
struct MixPart {
  /// Replicas of it that would bear the load by themselves, unrounded: each bears the reciprocal.
  /// Infinity: it bears nothing.
  double needed = 1;
  Money per_hour;  ///< of a replica
  int least = 0;
  int most = std::numeric_limits<int>::max();
};

/// Replicas by part; in the order of the parts.
using Mix = std::vector<int>;

/// How many times the load of which `needed` is, `mix` bears.
double borne_by(const Mix& mix, std::span<const MixPart> parts);
/// In millionths of a currency unit an hour.
double cost_of_mix(const Mix& mix, std::span<const MixPart> parts);

/// The cheapest mix that bears `load` times the load, of at least `least` replicas and at most
/// `most`; among those of one cost, one that uses earlier parts. Nothing where none can. Never
/// dearer than the cheapest part by itself. Branch and bound, exact but for a bound on the mixes
/// looked at, which a handful of parts does not reach.
std::optional<Mix> cheapest_mix(std::span<const MixPart> parts, double load, int least, int most);

/// The mix that bears most, whatever it costs; of parts that bear alike the cheaper.
Mix largest_mix(std::span<const MixPart> parts, int most);

}  // namespace berth::core
