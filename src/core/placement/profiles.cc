#include "core/placement/placer.h"
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

// A profile is one row here.
constexpr Profile kProfiles[] = {
    {"pack", scan<NodeOrder::kPack>},
    {"spread", scan<NodeOrder::kSpread>},
    {"least-used", scan<NodeOrder::kLeastUsed>},
};

}  // namespace

std::unique_ptr<Placer> make_placer(std::string_view profile, uint64_t seed) {
  for (const Profile& known : kProfiles)
    if (known.name == profile) return known.make(seed);
  return nullptr;
}

std::vector<std::string_view> placement_profiles() {
  std::vector<std::string_view> names;
  for (const Profile& profile : kProfiles) names.push_back(profile.name);
  return names;
}

}  // namespace berth::core
