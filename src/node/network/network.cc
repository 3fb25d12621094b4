#include "node/network/network.h"

#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <utility>

#include "node/files.h"
#include "node/network/forwarding.h"
#include "node/network/services/service_range.h"
#include "platform/process.h"

namespace berth::node {
namespace {

constexpr std::chrono::seconds kDrainLimit{5};

Result<std::optional<Subnet>> read_subnet(const std::string& text, const std::string& option) {
  if (text.empty()) return std::optional<Subnet>();
  auto subnet = parse_subnet(text);
  if (!subnet) {
    Error error = subnet.error();
    error.where = option;
    return std::unexpected(std::move(error));
  }
  return std::optional<Subnet>(*subnet);
}

}  // namespace

Network::Network(std::string data_dir, std::unique_ptr<CniNetwork> cni)
    : data_dir_(std::move(data_dir)), cni_(std::move(cni)) {}

Result<std::unique_ptr<Network>> Network::start(NetworkOptions options, client::ApiClient& client,
                                                PlanningLock /*planning*/) {
  CniNetworkOptions cni_options;
  cni_options.data_dir = options.data_dir + "/network";
  cni_options.plugin_dirs = std::move(options.cni_plugin_dirs);
  cni_options.conf_dir = std::move(options.cni_conf_dir);
  BERTH_TRY(cni_options.pod_subnet, read_subnet(options.pod_subnet, "--pod-subnet"));
  BERTH_TRY(cni_options.service_subnet, service_range(options.data_dir, options.service_subnet));
  cni_options.owner = options.data_dir;
  if (platform::find_program("nft").empty())
    return fail(ErrorCode::kUnsupported, "`nft` is not installed, which Services need", "",
                "install it (Debian and Ubuntu: `apt install nftables`)");
  BERTH_TRY(std::unique_ptr<CniNetwork> cni, CniNetwork::open(std::move(cni_options)));
  std::unique_ptr<Network> network(new Network(std::move(options.data_dir), std::move(cni)));
  network->follow(client);
  return network;
}

void Network::follow(client::ApiClient& client) {
  const auto begin = [this, &client] {
    proxy_ = std::make_unique<ServiceProxy>(
        client, thread_.loop(), ServiceProxy::Options{.network = service_network()}, hosts_);
    proxy_->start();
  };
  thread_.start(begin, [this] { proxy_.reset(); });
}

ServiceNetwork Network::service_network() const {
  const BridgePlan& plan = cni_->plan();
  ServiceNetwork network{
      .table = plan.bridge, .services = std::nullopt, .pods = std::nullopt, .bridge = ""};
  if (plan.reserves_services) network.services = plan.services;
  if (cni_->owns_bridge()) {
    network.pods = plan.pods;
    network.bridge = plan.bridge;
  }
  return network;
}

std::vector<std::string> Network::troubles() const {
  return forwarding_troubles(cni_->owns_bridge() ? cni_->plan().bridge : std::string());
}

std::string Network::hosts_path(const std::string& pod_uid) const {
  return data_dir_ + "/pods/" + pod_uid + "/hosts";
}

Result<PodAttachment> Network::ensure_pod_network(const PodNetworkRequest& request) {
  BERTH_TRY(PodAttachment attachment, cni_->ensure_pod_network(request));
  if (request.host_network) return attachment;
  ServiceProxy::LocalPod pod{.uid = request.pod_uid,
                             .ns = request.pod_namespace,
                             .name = request.pod_name,
                             .ip = attachment.ips.front(),
                             .hosts_path = hosts_path(request.pod_uid)};
  BERTH_CHECK(make_directories(std::filesystem::path(pod.hosts_path).parent_path().string(), 0700));
  JsonObject spec;
  spec["hostname"] = request.hostname;
  spec["subdomain"] = request.subdomain;
  JsonObject metadata;
  metadata["name"] = request.pod_name;
  const Json known(JsonObject{{"metadata", std::move(metadata)}, {"spec", std::move(spec)}});
  BERTH_CHECK(hosts_.put(pod.uid, pod.hosts_path, pod.ns,
                         own_host_lines(&known, pod.ns, pod.name, pod.ip)));
  thread_.post([this, pod] {
    if (proxy_) proxy_->add_pod(pod);
  });
  return attachment;
}

Result<> Network::drain(const std::string& pod_uid) {
  const auto done = std::make_shared<std::promise<Result<>>>();
  std::future<Result<>> answer = done->get_future();
  if (!thread_.post(
          [this, done, pod_uid] { done->set_value(proxy_ ? proxy_->drain(pod_uid) : Result<>()); }))
    return fail(ErrorCode::kUnavailable, "the network has stopped", pod_uid);
  if (answer.wait_for(kDrainLimit) != std::future_status::ready)
    return fail(ErrorCode::kTimeout, "Services could not be told in time to leave the pod alone",
                pod_uid);
  return answer.get();
}

Result<> Network::release(const std::string& pod_uid) {
  // In the loop's order, so that nothing it still does for the pod brings the file back.
  thread_.post([this, pod_uid] {
    if (proxy_) proxy_->remove_pod(pod_uid);
  });
  return cni_->release(pod_uid);
}

Result<std::vector<std::string>> Network::list() {
  return cni_->list();
}

Result<> Network::sweep(const std::set<std::string>& known) {
  BERTH_TRY(const std::vector<std::string> held, list());
  for (const std::string& uid : held) {
    if (!known.contains(uid)) BERTH_CHECK(release(uid));
  }
  return {};
}

Result<bool> Network::cleanup_all() {
  BERTH_TRY(const std::vector<std::string> pods, list());
  if (!pods.empty()) return false;
  thread_.stop();
  platform::ProcessOptions nft;
  nft.argv = {"nft", "-f", "-"};
  nft.input = nft_removal(service_network());
  BERTH_TRY([[maybe_unused]] const platform::ProcessResult removed, platform::run_checked(nft));
  return cni_->cleanup();
}

}  // namespace berth::node
