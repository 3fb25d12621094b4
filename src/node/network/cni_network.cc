#include "node/network/cni_network.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"
#include "node/files.h"
#include "node/network/bridge.h"
#include "node/network/netns.h"

namespace berth::node {
namespace {

namespace fs = std::filesystem;

constexpr char kForwarding[] = "/proc/sys/net/ipv4/ip_forward";
constexpr int kMostBridges = 100;

/// `berth0`, or the next name when another Berth on this machine has that.
Result<std::string> free_bridge_name() {
  for (int number = 0; number < kMostBridges; ++number) {
    std::string name = fmt::format("berth{}", number);
    if (!interface_exists(name)) return name;
  }
  return fail(ErrorCode::kUnavailable, "every bridge name from berth0 to berth99 is taken", "",
              "remove those that nobody uses: `ip link delete berth0`");
}

uint32_t name_hash(std::string_view text) {
  uint32_t hash = 2166136261;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619;
  return hash;
}

/// Does some other bridge (of a container engine, of virtual machines) depend on forwarding?
bool another_bridge_exists(const std::string& own) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/sys/class/net", ignored)) {
    if (entry.path().filename() != own && fs::exists(entry.path() / "bridge", ignored)) return true;
  }
  return false;
}

}  // namespace

CniNetwork::CniNetwork(CniNetworkOptions options)
    : options_(std::move(options)),
      cni_(options_.plugin_dirs),
      records_(options_.data_dir + "/pods"),
      host_ip_(node::host_ip()) {}

Result<std::unique_ptr<CniNetwork>> CniNetwork::open(CniNetworkOptions options) {
  std::unique_ptr<CniNetwork> network(new CniNetwork(std::move(options)));
  BERTH_CHECK(make_directories(network->options_.data_dir, 0700));
  if (!network->options_.conf_dir.empty()) {
    BERTH_TRY(network->external_, load_cni_config(network->options_.conf_dir));
    BERTH_CHECK(network->cni_.validate(*network->external_));
  }
  BERTH_CHECK(network->load_plan());
  if (!network->external_) BERTH_CHECK(network->set_up_bridge());
  return network;
}

Result<> CniNetwork::load_plan() {
  const std::vector<Subnet> taken =
      subnets_in_use(routes(read_file("/proc/thread-self/net/route").value_or("")),
                     read_file("/etc/resolv.conf").value_or(""));
  const std::optional<Subnet> pods = options_.pod_subnet;
  if (const auto text = read_file(plan_path())) {
    BERTH_TRY(plan_, parse_bridge_plan(*text, plan_path()));
    BERTH_TRY(const std::vector<std::string> users, list());
    const bool as_asked = pods.value_or(plan_.pods) == plan_.pods;
    const std::string owner = interface_owner(plan_.bridge);
    const bool bridge_is_own =
        !interface_exists(plan_.bridge) || (interface_has_address(plan_.bridge, plan_.gateway()) &&
                                            (owner.empty() || owner == options_.owner));
    if (as_asked && (bridge_is_own || !users.empty())) {
      if (plan_.services == options_.service_subnet) return {};
      BERTH_TRY(BridgePlan changed,
                plan_bridge(plan_.bridge, plan_.pods, options_.service_subnet, taken));
      changed.changed_sysctls = std::move(plan_.changed_sysctls);
      plan_ = std::move(changed);
      return save_plan();
    }
    if (!users.empty())
      return fail(
          ErrorCode::kInvalid, "the network of pods cannot change while pods use it",
          "--pod-subnet",
          fmt::format("give {}, or stop the {} pods first", plan_.pods.to_string(), users.size()));
    if (bridge_is_own) BERTH_CHECK(remove_bridge(plan_.bridge));
  }
  // Without a bridge of its own, the name is only that of the table of rules.
  std::string bridge = fmt::format("berth-{:08x}", name_hash(options_.owner));
  if (!external_) {
    BERTH_TRY(bridge, free_bridge_name());
  }
  std::map<std::string, std::string> sysctls = std::move(plan_.changed_sysctls);
  BERTH_TRY(plan_, plan_bridge(std::move(bridge), pods, options_.service_subnet, taken));
  plan_.changed_sysctls = std::move(sysctls);
  return save_plan();
}

Result<> CniNetwork::save_plan() const {
  return write_file_atomically(plan_path(), format_bridge_plan(plan_));
}

Result<> CniNetwork::set_up_bridge() {
  // Reading VERSION of each plugin would cost more than the start may take; whether they are there
  // is enough, and ADD says the rest.
  for (const char* plugin : {"bridge", "host-local"}) {
    const bool found = std::ranges::any_of(options_.plugin_dirs, [&](const std::string& directory) {
      return ::access((directory + "/" + plugin).c_str(), X_OK) == 0;
    });
    if (!found)
      return fail(ErrorCode::kUnsupported,
                  fmt::format("the CNI plugin `{}` is not installed", plugin), "",
                  "install it (Debian and Ubuntu: `apt install containernetworking-plugins`)");
  }
  if (!interface_exists(plan_.bridge))
    changes_.push_back(
        fmt::format("made the bridge {} with {} for pods", plan_.bridge, plan_.pods.to_string()));
  BERTH_CHECK(ensure_bridge(plan_.bridge, plan_.gateway(), plan_.pods));
  set_interface_owner(plan_.bridge, options_.owner);
  // So that this machine itself has a way to Services, with the gateway as its address there.
  if (plan_.reserves_services) BERTH_CHECK(ensure_route(plan_.services, plan_.bridge));
  BERTH_TRY(const std::string old, set_sysctl(kForwarding, "1"));
  if (trim(old) != "1") {
    plan_.changed_sysctls.emplace(kForwarding, std::string(trim(old)));
    changes_.emplace_back("set net.ipv4.ip_forward to 1, so that pods reach other networks");
    BERTH_CHECK(save_plan());
  }
  return {};
}

Result<PodAttachment> CniNetwork::ensure_pod_network(const PodNetworkRequest& request) {
  if (request.host_network) return PodAttachment{.ips = {host_ip_}, .netns_path = ""};
  if (const auto record = records_.read(request.pod_uid)) {
    if (!record->result.is_null() && is_netns(record->netns_path))
      return PodAttachment{.ips = record->ips, .netns_path = record->netns_path};
  }
  // A half-made one, or one of before a restart of the machine. Its record is written before
  // anything else of it and goes last.
  if (::access(records_.path(request.pod_uid).c_str(), F_OK) == 0)
    BERTH_CHECK(release(request.pod_uid));
  auto attachment = attach(request);
  if (!attachment) (void)release(request.pod_uid);
  return attachment;
}

Result<PodAttachment> CniNetwork::attach(const PodNetworkRequest& request) {
  PodRecord record;
  record.pod_uid = request.pod_uid;
  record.netns_path = options_.netns_dir + "/" + request.netns_name;
  BERTH_TRY(record.attachment.capabilities,
            bandwidth_capability(request.ingress_bandwidth, request.egress_bandwidth));
  const bool limited = !record.attachment.capabilities.empty();
  record.config = external_ ? *external_ : bridge_cni_config(plan_, ipam_dir(), limited);
  record.attachment.container_id = request.pod_uid;
  record.attachment.netns = record.netns_path;
  record.attachment.args = {{"K8S_POD_NAMESPACE", request.pod_namespace},
                            {"K8S_POD_NAME", request.pod_name},
                            {"K8S_POD_UID", request.pod_uid}};
  BERTH_CHECK(records_.write(record));
  BERTH_CHECK(ensure_netns(record.netns_path));
  BERTH_TRY(CniResult result, cni_.add(record.config, record.attachment));
  if (result.ips.empty())
    return fail(ErrorCode::kInternal,
                fmt::format("the network `{}` gave no address", record.config.name), "",
                "add an `ipam` section to its configuration");
  record.result = std::move(result.raw);
  record.ips = std::move(result.ips);
  BERTH_CHECK(records_.write(record));
  return PodAttachment{.ips = record.ips, .netns_path = record.netns_path};
}

Result<> CniNetwork::release(const std::string& pod_uid) {
  if (auto record = records_.read(pod_uid)) {
    BERTH_CHECK(undo(*record));
  } else {
    BERTH_CHECK(remove_netns(options_.netns_dir + "/" + pod_netns_name(pod_uid)));
  }
  // What the plugins left, for example because they are no longer installed.
  for (const std::string& lease : leases_of(pod_uid)) ::unlink(lease.c_str());
  return records_.remove(pod_uid);
}

Result<> CniNetwork::undo(const PodRecord& record) {
  CniAttachment attachment = record.attachment;
  if (!is_netns(record.netns_path)) attachment.netns.clear();
  auto deleted = cni_.del(record.config, attachment, record.result);
  // The end of the namespace takes the interfaces of Berth's own network with it, and its leases
  // are files. What somebody else's plugins hold, only they can give back.
  const bool own = record.config.name == plan_.bridge;
  if (!deleted && !own) return deleted;
  return remove_netns(record.netns_path);
}

std::vector<std::string> CniNetwork::leases_of(const std::string& pod_uid) const {
  std::vector<std::string> result;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(ipam_dir() + "/" + plan_.bridge, ignored)) {
    if (!parse_ipv4(entry.path().filename().string())) continue;
    const auto text = read_file(entry.path().string());
    // Container id, then the interface on a line of its own.
    if (text && trim(text->substr(0, text->find('\n'))) == pod_uid)
      result.push_back(entry.path().string());
  }
  return result;
}

Result<std::vector<std::string>> CniNetwork::list() {
  const std::vector<std::string> recorded = records_.list();
  std::set<std::string> uids(recorded.begin(), recorded.end());
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(ipam_dir() + "/" + plan_.bridge, ignored)) {
    if (!parse_ipv4(entry.path().filename().string())) continue;
    const auto text = read_file(entry.path().string());
    if (text) uids.insert(std::string(trim(text->substr(0, text->find('\n')))));
  }
  return std::vector<std::string>(uids.begin(), uids.end());
}

Result<bool> CniNetwork::cleanup() {
  BERTH_TRY(const std::vector<std::string> pods, list());
  if (!pods.empty()) return false;
  if (!external_) {
    BERTH_CHECK(remove_bridge(plan_.bridge));
    if (!another_bridge_exists(plan_.bridge)) {
      for (const auto& [path, value] : plan_.changed_sysctls) BERTH_CHECK(set_sysctl(path, value));
    }
  }
  plan_.changed_sysctls.clear();
  BERTH_CHECK(save_plan());
  return true;
}

}  // namespace berth::node
