#include "core/placement/index_placer.h"
#include "core/placement/placer.h"
#include "core/placement/policies/policy.h"
#include "core/placement/scan_placer.h"

namespace berth::core {
namespace {

struct Profile {
  std::string_view name;
  std::unique_ptr<Placer> (*make)(uint64_t seed);
};

template <NodeOrder order>
std::unique_ptr<Placer> scan(uint64_t) {
  return std::make_unique<ScanPlacer>(order);
}

// A live profile is one row here, or a row of `placement_policies()` with a scorer.
constexpr Profile kProfiles[] = {
    {"pack", scan<NodeOrder::kPack>},
    {"spread", scan<NodeOrder::kSpread>},
    {"least-used", scan<NodeOrder::kLeastUsed>},
};

}  // namespace

std::unique_ptr<Placer> make_placer(std::string_view profile, uint64_t seed) {
  for (const Profile& known : kProfiles)
    if (known.name == profile) return known.make(seed);
  const PlacementPolicy* policy = find_placement_policy(profile);
  if (policy != nullptr && policy->make_scorer != nullptr)
    return std::make_unique<IndexPlacer>(*policy);
  return nullptr;
}

std::vector<std::string_view> placement_profiles() {
  std::vector<std::string_view> names;
  for (const Profile& profile : kProfiles) names.push_back(profile.name);
  for (const PlacementPolicy& policy : placement_policies())
    if (policy.make_scorer != nullptr) names.push_back(policy.name);
  return names;
}

}  // namespace berth::core
