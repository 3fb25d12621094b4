#include "node/network/services/service_range.h"

#include <algorithm>

#include <fmt/format.h>

#include "node/files.h"
#include "node/network/bridge.h"
#include "node/network/bridge_plan.h"

namespace berth::node {
namespace {

constexpr uint32_t kCandidates = 16;
/// Kubernetes' own bounds: room for a few Services, and not more than anybody lists.
constexpr int kShortestPrefix = 12;
constexpr int kLongestPrefix = 28;

const ForeignRoute* holder(const Subnet& subnet, const std::vector<ForeignRoute>& others) {
  const auto at = std::ranges::find_if(
      others, [&](const ForeignRoute& other) { return other.subnet.overlaps(subnet); });
  return at == others.end() ? nullptr : &*at;
}

Result<Subnet> first_free(const std::vector<ForeignRoute>& others) {
  for (uint32_t i = 0; i < kCandidates; ++i) {
    const Subnet subnet{.address = kServiceSubnet.address + (i << 16),
                        .prefix = kServiceSubnet.prefix};
    if (holder(subnet, others) == nullptr) return subnet;
  }
  return fail(ErrorCode::kUnavailable, "every network that Berth would use for Services is taken",
              "", "give one with --service-subnet");
}

}  // namespace

Result<Subnet> choose_service_range(const std::optional<Subnet>& asked,
                                    const std::optional<Subnet>& kept,
                                    const std::vector<ForeignRoute>& others) {
  if (!asked && !kept) return first_free(others);
  const Subnet wanted = asked ? *asked : *kept;
  if (wanted.prefix < kShortestPrefix || wanted.prefix > kLongestPrefix)
    return fail(ErrorCode::kInvalid,
                fmt::format("{} is too {}", wanted.to_string(),
                            wanted.prefix < kShortestPrefix ? "large" : "small"),
                "--service-subnet",
                fmt::format("give a prefix of {} to {}", kShortestPrefix, kLongestPrefix));
  for (const ForeignRoute& other : others) {
    if (other.berth.empty() || !other.subnet.overlaps(wanted)) continue;
    const auto free = first_free(others);
    return fail(
        ErrorCode::kConflict,
        fmt::format("{} for Services overlaps {} of another Berth on this machine ({}, "
                    "bridge {})",
                    wanted.to_string(), other.subnet.to_string(), other.berth, other.interface),
        "--service-subnet",
        fmt::format("give another{}, or stop that one{}",
                    free ? fmt::format(", such as {}", free->to_string()) : "",
                    asked ? "" : "; Services that are there then have to be made anew"));
  }
  return wanted;
}

Result<Subnet> service_range(const std::string& data_dir, const std::string& option) {
  std::optional<Subnet> asked;
  if (!option.empty()) {
    auto subnet = parse_subnet(option);
    if (!subnet) {
      subnet.error().where = "--service-subnet";
      return subnet;
    }
    asked = *subnet;
  }
  const std::string plan_path = data_dir + "/network/network.json";
  std::optional<Subnet> kept;
  std::string own;
  if (const auto text = read_file(plan_path)) {
    BERTH_TRY(const BridgePlan plan, parse_bridge_plan(*text, plan_path));
    kept = plan.services;
    // Its name may have gone to another Berth meanwhile.
    const std::string owner = interface_owner(plan.bridge);
    if (owner.empty() || owner == data_dir) own = plan.bridge;
  }
  return choose_service_range(asked, kept, foreign_routes(own));
}

std::vector<ForeignRoute> foreign_routes(const std::string& own) {
  std::vector<ForeignRoute> others;
  for (Route& route : routes(read_file("/proc/thread-self/net/route").value_or(""))) {
    if (route.interface == own) continue;
    std::string owner = interface_owner(route.interface);
    others.push_back({route.subnet, std::move(route.interface), std::move(owner)});
  }
  return others;
}

}  // namespace berth::node
