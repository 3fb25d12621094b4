#pragma once

#include <deque>
#include <limits>
#include <optional>
#include <vector>

#include "core/scaling/variants/mix.h"

namespace berth::core {

/// What is known of a variant of a service: an alternative in accelerator or size.
struct VariantView {
  /// Replicas of it that would keep the objective by themselves under the load foreseen, unrounded;
  /// 0: no load.
  double needed = 0;
  Money per_hour;      ///< of a replica
  double start_s = 0;  ///< from the order to ready
  int ordered = 0;
  int ready = 0;
  int most = std::numeric_limits<int>::max();  ///< that find a place
  /// 0: measured, and keeps the objective. 1: nobody measured it. 2: it misses the objective even
  /// with one request at a time. Those of a higher rank are used where the lower have no room.
  int rank = 0;
};

/// What holds for the variants together.
struct VariantBounds {
  int least = 0;
  int most = 1;
  int standby = 0;  ///< replicas more than the load needs, within `most`
};

struct VariantDecision {
  Mix replicas;
  Mix cheapest;  ///< what would be ordered if nothing ran
  /// Where it is another: what that would save an hour (millionths), and how long until the saving
  /// foregone has paid for the change.
  double saves_per_hour = 0;
  double pays_in_s = 0;
  bool switching = false;  ///< both run, until the new ones answer
  bool enough = true;      ///< false: no mix within the bounds bears the load
};

/// Which variants, and how many of each. What runs is kept where that does: the load falls, the
/// cheapest of what runs stays; it grows, the cheapest is added. A cheaper mix takes over once what
/// it would have saved has come to what the change costs (the new replicas while they start, and
/// the old ones meanwhile): the ski-rental rule, at most twice the cost of knowing how long the
/// load stays, and no flapping. Where what runs cannot be made enough within the bounds it changes
/// at once. Nothing that answers is given up before what replaces it answers. What was needed of
/// late
/// (`hold_s`) counts as far as what runs bears it.
///
/// Fed in the order of time; equal inputs give equal decisions. The rule: Karlin, Manasse,
/// Rudolph, Sleator, "Competitive snoopy caching", Algorithmica 3 (1988).
class VariantChoice {
 public:
  explicit VariantChoice(double hold_s) : hold_s_(hold_s) {}

  VariantDecision decide(const std::vector<VariantView>& variants, const VariantBounds& bounds,
                         double now_s);

 private:
  double load_to_bear(const std::vector<MixPart>& parts, double now_s);
  void weigh(const std::vector<VariantView>& variants, const std::vector<MixPart>& parts,
             const Mix& runs, double load, const VariantBounds& bounds, double now_s,
             VariantDecision& decision);

  const double hold_s_;
  struct Needed {
    double at_s;
    std::vector<double> replicas;
  };
  std::deque<Needed> history_;
  std::optional<double> last_s_;
  double foregone_ = 0;  ///< millionths, since a cheaper mix has been there
};

}  // namespace berth::core
