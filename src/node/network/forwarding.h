#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace berth::node {

/// A chain of nftables through which forwarded packets pass.
struct ForwardChain {
  std::string family;  ///< ip or inet
  std::string table;
  std::string name;
  bool drops_by_policy = false;

  bool operator==(const ForwardChain&) const = default;
};

/// From the output of `nft -j list chains`; without those of Berth's own tables, and those of
/// families that IPv4 packets do not pass.
std::vector<ForwardChain> forward_chains(std::string_view nft_json);

/// Does the chain keep out what comes from or goes to `bridge`? `rules` is the output of
/// `nft list chain`. By its policy or an unconditional last rule, unless a rule accepts the bridge
/// by name. (Jumps are not followed.)
bool keeps_out(const ForwardChain& chain, std::string_view rules, std::string_view bridge);
/// The same of the output of `iptables-legacy -S FORWARD`.
bool legacy_keeps_out(std::string_view rules, std::string_view bridge);

/// Why pods of this machine reach no Services and no other networks, and how to change it: a
/// sentence each, none where nothing is in the way. `bridge` may be empty: somebody else's network.
std::vector<std::string> forwarding_troubles(const std::string& bridge);

}  // namespace berth::node
