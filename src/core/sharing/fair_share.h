#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace berth::core {

/// The dimensions of fairness. All accelerators are one: devices times their kind's weight.
inline constexpr size_t kShareDimensions = 3;
enum ShareDimension : size_t { kShareCpu, kShareMemory, kShareAccelerators };

/// Fractions of the cluster's capacity.
struct ShareVector {
  std::array<double, kShareDimensions> of{};

  double dominant() const {
    double most = 0;
    for (double fraction : of) most = fraction > most ? fraction : most;
    return most;
  }
};

/// One queue among its siblings.
struct Claimant {
  ShareVector demand;  ///< what it has and wants, its limit applied
  double floor = 0;    ///< its guarantee, as a dominant share; counts only up to its demand
  double weight = 1;
};

/// Divides `capacity` among siblings: weighted dominant resource fairness by progressive filling
/// (Ghodsi et al., NSDI 2011), with guarantees as floors.
///
/// The level rises from zero. At level L a queue has the dominant share `weight * L`, but at least
/// its floor and at most its demand, and uses all dimensions in the proportions of its demand. When
/// a dimension is used up, the queues that demand it stop there. Returns each queue's dominant
/// share. Floors are given even where they exceed capacity (the caller scales guarantees first).
///
/// Example: 8 devices; A (weight 1) demands 8, B (weight 1) demands 8, C (weight 2) demands 1.
/// C gets its 1/8; A and B get 3.5/8 each. With a guarantee of 6 for A: A 6/8, C 1/8, B 1/8.
std::vector<double> fair_shares(std::span<const Claimant> claimants, const ShareVector& capacity);

}  // namespace berth::core
