#pragma once

#include <vector>

#include "core/placement/scorers/scorer.h"
#include "core/placement/state_memo.h"
#include "core/placement/typical_mix.h"

namespace berth::core {

/// Berth's own. The node where placing loses least of what the expected mix could still use there,
/// plus the price of using a scarce accelerator model.
///
/// A node's expected use is the mean over the mix (requests with devices, by count) of the milli
/// that the request could use of it: idle milli of the devices that it fits on, as in fragmentation
/// gradient descent, times 1 - w + w * (share of those slots that the node's CPU can feed). The
/// second factor values CPU next to idle devices even where one more request still finds enough;
/// w = 1/5 keeps it from outweighing whole nodes on clusters where CPU abounds.
///
/// A model's price is the demand confined to it, over its supply: each request's share of all
/// demand, spread over the supply of the models that it allows; less the lowest price of all.
/// Requests that could go elsewhere leave scarce models to those that cannot.
///
/// Losses within 20 milli tie, and go to the first node, which keeps later nodes whole.
class ExpectedUseScorer final : public Scorer {
 public:
  /// `supply`: devices in the cluster, by model.
  ExpectedUseScorer(const TypicalMix& mix, std::span<const int64_t> supply);

  int32_t score(const Fleet& fleet, uint32_t node, const Request& request) override;
  DeviceSet choose_devices(const Fleet& fleet, uint32_t node, const Request& request) override;

  /// Milli lost to the mix by the state of a node: idle less expected use.
  double loss(int model, int64_t cpu_milli, std::span<const int16_t> left) const;
  double price(int model) const { return prices_[static_cast<size_t>(model)]; }

 private:
  /// Requests of one model's nodes that differ in CPU alone, by ascending CPU.
  struct Group {
    int16_t devices;
    int16_t milli;
    std::vector<int64_t> cpu;
    std::vector<double> weight;          ///< sums of weights up to here; [0] is 0
    std::vector<double> weight_per_cpu;  ///< sums of weight / cpu
  };
  struct Choice {
    double loss;
    size_t device;
  };

  double memo_loss(int model, int64_t cpu_milli, uint64_t key, std::span<const int16_t> left);
  Choice best_share(const Fleet& fleet, uint32_t node, const Request& request);
  void add(const TypicalMix::Entry& entry, size_t model);

  std::vector<std::vector<Group>> groups_;  ///< by model
  std::vector<double> prices_;              ///< by model
  StateMemo<double> memo_;
};

}  // namespace berth::core
