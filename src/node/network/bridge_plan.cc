#include "node/network/bridge_plan.h"

#include <algorithm>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace berth::node {
namespace {

using objects::find_object;
using objects::find_string;

constexpr int kPodPrefix = 16;
constexpr int kLongestPrefix = 28;

Result<> check_room(const Subnet& subnet, std::string_view option) {
  if (subnet.prefix <= kLongestPrefix) return {};
  return fail(ErrorCode::kInvalid, fmt::format("{} is too small", subnet.to_string()),
              std::string(option), fmt::format("give a prefix of {} or less", kLongestPrefix));
}

}  // namespace

std::string format_bridge_plan(const BridgePlan& plan) {
  JsonObject sysctls;
  for (const auto& [path, value] : plan.changed_sysctls) sysctls[path] = value;
  JsonObject root;
  root["bridge"] = plan.bridge;
  root["pods"] = plan.pods.to_string();
  root["services"] = plan.services.to_string();
  root["reservesServices"] = plan.reserves_services;
  root["changedSysctls"] = std::move(sysctls);
  return boost::json::serialize(root);
}

Result<BridgePlan> parse_bridge_plan(std::string_view text, const std::string& where) {
  boost::system::error_code error;
  const Json root = boost::json::parse({text.data(), text.size()}, error);
  BridgePlan plan;
  if (!error && root.is_object()) plan.bridge = find_string(root, {"bridge"});
  if (plan.bridge.empty())
    return fail(ErrorCode::kInvalid, "the network's own record cannot be read", where,
                "with no pod running, remove the file: Berth plans the network anew");
  BERTH_TRY(plan.pods, parse_subnet(find_string(root, {"pods"})));
  BERTH_TRY(plan.services, parse_subnet(find_string(root, {"services"})));
  plan.reserves_services = objects::find_bool(root, {"reservesServices"}, true);
  for (const auto& [path, value] : find_object(root, {"changedSysctls"})) {
    if (value.is_string()) plan.changed_sysctls[path] = std::string(value.as_string());
  }
  return plan;
}

Result<BridgePlan> plan_bridge(std::string bridge, std::optional<Subnet> pods,
                               const Subnet& services, const std::vector<Subnet>& taken) {
  BridgePlan plan;
  plan.bridge = std::move(bridge);
  plan.services = services;
  plan.reserves_services =
      std::ranges::none_of(taken, [&](const Subnet& other) { return other.overlaps(services); });
  if (pods) {
    plan.pods = *pods;
  } else {
    std::vector<Subnet> also_taken = taken;
    also_taken.push_back(services);
    BERTH_TRY(plan.pods, choose_subnet(also_taken, kPodPrefix));
  }
  BERTH_CHECK(check_room(plan.pods, "--pod-subnet"));
  if (plan.pods.overlaps(plan.services))
    return fail(ErrorCode::kInvalid,
                fmt::format("the networks of pods ({}) and Services ({}) overlap",
                            plan.pods.to_string(), plan.services.to_string()),
                "--pod-subnet", "give one outside of the Services' network");
  return plan;
}

CniConfig bridge_cni_config(const BridgePlan& plan, const std::string& ipam_dir, bool bandwidth) {
  JsonObject range;
  range["subnet"] = plan.pods.to_string();
  range["gateway"] = format_ipv4(plan.gateway());
  JsonObject route;
  route["dst"] = "0.0.0.0/0";
  JsonObject ipam;
  ipam["type"] = "host-local";
  ipam["dataDir"] = ipam_dir;
  ipam["ranges"] = JsonArray{JsonArray{std::move(range)}};
  ipam["routes"] = JsonArray{std::move(route)};
  JsonObject bridge;
  bridge["type"] = "bridge";
  bridge["bridge"] = plan.bridge;
  bridge["isGateway"] = true;
  bridge["ipMasq"] = false;
  bridge["hairpinMode"] = true;
  bridge["ipam"] = std::move(ipam);

  CniConfig config;
  config.name = plan.bridge;
  config.version = "1.0.0";
  config.plugins.push_back({"bridge", std::move(bridge)});
  if (bandwidth) {
    JsonObject limit;
    limit["type"] = "bandwidth";
    JsonObject capabilities;
    capabilities["bandwidth"] = true;
    limit["capabilities"] = std::move(capabilities);
    config.plugins.push_back({"bandwidth", std::move(limit)});
  }
  return config;
}

}  // namespace berth::node
