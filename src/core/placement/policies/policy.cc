#include "core/placement/policies/policy.h"

#include <algorithm>
#include <array>

#include "core/placement/scorers/best_fit.h"
#include "core/placement/scorers/clustering.h"
#include "core/placement/scorers/dot_product.h"
#include "core/placement/scorers/expected_use.h"
#include "core/placement/scorers/fgd.h"
#include "core/placement/scorers/first_fit.h"
#include "core/placement/scorers/packing.h"

namespace berth::core {
namespace {

template <class T>
std::unique_ptr<Scorer> make(const ScorerContext&) {
  return std::make_unique<T>();
}
template <class T>
std::unique_ptr<Scorer> make_with_mix(const ScorerContext& context) {
  return std::make_unique<T>(context.typical);
}

std::unique_ptr<Scorer> make_berth(const ScorerContext& context) {
  return std::make_unique<ExpectedUseScorer>(context.broad, context.supply);
}

constexpr std::array kPolicies = {
    PlacementPolicy{"berth", "where the expected mix loses least, and scarce models last",
                    make_berth},
    PlacementPolicy{"fgd", "where expected fragmentation grows least", make_with_mix<FgdScorer>},
    PlacementPolicy{"best-fit", "the node with the least left over", make<BestFitScorer>},
    PlacementPolicy{"dot-product", "the node least aligned with the request",
                    make<DotProductScorer>},
    PlacementPolicy{"packing", "shared devices first, empty nodes last", make<PackingScorer>},
    PlacementPolicy{"clustering", "tasks of one size together", make<ClusteringScorer>},
    PlacementPolicy{"first-fit", "the first node in order", make<FirstFitScorer>},
    PlacementPolicy{"random", "any node that fits", nullptr},
};

}  // namespace

std::span<const PlacementPolicy> placement_policies() {
  return kPolicies;
}

const PlacementPolicy* find_placement_policy(std::string_view name) {
  const auto at = std::find_if(kPolicies.begin(), kPolicies.end(),
                               [&](const PlacementPolicy& p) { return p.name == name; });
  return at == kPolicies.end() ? nullptr : &*at;
}

std::string placement_policy_names() {
  std::string names;
  for (const PlacementPolicy& policy : kPolicies) {
    if (!names.empty()) names += ", ";
    names += policy.name;
  }
  return names;
}

}  // namespace berth::core
