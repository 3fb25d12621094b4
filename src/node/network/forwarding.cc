#include "node/network/forwarding.h"

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "base/text.h"
#include "node/files.h"
#include "objects/json.h"
#include "platform/process.h"

namespace berth::node {
namespace {

using objects::find_array;
using objects::find_string;

constexpr char kForwarding[] = "/proc/sys/net/ipv4/ip_forward";

std::string output_of(std::vector<std::string> argv) {
  platform::ProcessOptions options;
  options.argv = std::move(argv);
  const auto done = platform::run_checked(options);
  return done ? done->output : std::string();
}

/// `drop`, `reject with ...`, `counter packets 1 bytes 2 drop`: whatever the packet is.
bool drops_all(std::string_view rule) {
  if (rule.starts_with("counter")) {
    const size_t verdict = std::min(rule.find(" drop"), rule.find(" reject"));
    if (verdict == std::string_view::npos) return false;
    return rule.substr(0, verdict).find_first_of("\"=.") == std::string_view::npos;
  }
  return rule.starts_with("drop") || rule.starts_with("reject");
}

std::string cure(const ForwardChain& chain, const std::string& bridge) {
  if (bridge.empty()) return "let its pods through there";
  if (chain.family == "ip" && chain.table == "filter" && chain.name == "FORWARD")
    return fmt::format(
        "let its pods through: `iptables -I FORWARD -i {0} -j ACCEPT` and `iptables -I FORWARD -o "
        "{0} -j ACCEPT`",
        bridge);
  return fmt::format(
      "let its pods through: `nft insert rule {0} {1} {2} iifname {3} accept` and `nft insert rule "
      "{0} {1} {2} oifname {3} accept`",
      chain.family, chain.table, chain.name, bridge);
}

}  // namespace

std::vector<ForwardChain> forward_chains(std::string_view nft_json) {
  std::vector<ForwardChain> chains;
  boost::system::error_code error;
  const Json root = boost::json::parse({nft_json.data(), nft_json.size()}, error);
  if (error) return chains;
  for (const Json& item : find_array(root, {"nftables"})) {
    const Json* chain = objects::find(item, {"chain"});
    if (chain == nullptr || find_string(*chain, {"hook"}) != "forward" ||
        find_string(*chain, {"type"}) != "filter")
      continue;
    ForwardChain found{.family = std::string(find_string(*chain, {"family"})),
                       .table = std::string(find_string(*chain, {"table"})),
                       .name = std::string(find_string(*chain, {"name"})),
                       .drops_by_policy = find_string(*chain, {"policy"}) == "drop"};
    const bool seen_by_pods = found.family == "ip" || found.family == "inet";
    if (seen_by_pods && !found.table.starts_with("berth")) chains.push_back(std::move(found));
  }
  return chains;
}

bool keeps_out(const ForwardChain& chain, std::string_view rules, std::string_view bridge) {
  std::string_view last;
  for (const std::string_view line : split(rules, '\n')) {
    const std::string_view rule = trim(line);
    if (rule.empty() || rule == "}" || rule.ends_with("{") || rule.starts_with("type ")) continue;
    if (!bridge.empty() && rule.find(fmt::format("\"{}\"", bridge)) != std::string_view::npos &&
        rule.find("accept") != std::string_view::npos)
      return false;
    if (rule == "accept") return false;
    last = rule;
  }
  return chain.drops_by_policy || drops_all(last);
}

bool legacy_keeps_out(std::string_view rules, std::string_view bridge) {
  bool drops = false;
  for (const std::string_view line : split(rules, '\n')) {
    const std::string_view rule = trim(line);
    if (rule == "-P FORWARD DROP") drops = true;
    if (rule == "-A FORWARD -j DROP" || rule.starts_with("-A FORWARD -j REJECT")) drops = true;
    const bool names_it =
        !bridge.empty() && (rule.find(fmt::format(" -i {} ", bridge)) != std::string_view::npos ||
                            rule.find(fmt::format(" -o {} ", bridge)) != std::string_view::npos);
    if (rule == "-A FORWARD -j ACCEPT" || (names_it && rule.ends_with("-j ACCEPT"))) return false;
  }
  return drops;
}

std::vector<std::string> forwarding_troubles(const std::string& bridge) {
  std::vector<std::string> troubles;
  if (trim(read_file(kForwarding).value_or("1")) != "1")
    troubles.emplace_back(
        "this machine does not forward packets, so pods may reach no Services and no other "
        "networks; switch it on: `sysctl -w net.ipv4.ip_forward=1`");
  for (const ForwardChain& chain : forward_chains(output_of({"nft", "-j", "list", "chains"}))) {
    const std::string rules =
        output_of({"nft", "list", "chain", chain.family, chain.table, chain.name});
    if (!keeps_out(chain, rules, bridge)) continue;
    troubles.push_back(
        fmt::format("a firewall of this machine drops forwarded packets (chain {} of the nftables "
                    "table {} {}), "
                    "so pods may reach no Services and no other networks; {}",
                    chain.name, chain.family, chain.table, cure(chain, bridge)));
  }
  // Rules of the older interface are not in nftables.
  const std::string legacy = read_file("/proc/net/ip_tables_names").value_or("");
  if (legacy.find("filter") != std::string::npos &&
      !platform::find_program("iptables-legacy").empty() &&
      legacy_keeps_out(output_of({"iptables-legacy", "-S", "FORWARD"}), bridge))
    troubles.push_back(fmt::format(
        "a firewall of this machine drops forwarded packets (iptables-legacy, chain FORWARD), so "
        "pods may reach no Services and no other networks; let its pods through: `iptables-legacy "
        "-I FORWARD -i {0} -j ACCEPT` and `iptables-legacy -I FORWARD -o {0} -j ACCEPT`",
        bridge.empty() ? "BRIDGE" : bridge));
  return troubles;
}

}  // namespace berth::node
