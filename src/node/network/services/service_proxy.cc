#include "node/network/services/service_proxy.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "platform/process.h"

namespace berth::node {
namespace {

using objects::find_string;

/// During a long burst, following it takes a hundredth of a core.
constexpr int kRestPerWork = 100;

client::Target collection(std::string group, std::string version, std::string plural) {
  return {.resource = {std::move(group), std::move(version), std::move(plural)},
          .ns = "",
          .name = "",
          .subresource = ""};
}

client::Informer::Options follow(client::Target target) {
  client::Informer::Options options;
  options.collection = std::move(target);
  return options;
}

std::vector<SharedJson> objects_of(const client::Informer& informer) {
  std::vector<SharedJson> result;
  result.reserve(informer.objects().size());
  for (const auto& [key, object] : informer.objects()) result.push_back(object);
  return result;
}

/// What of a pod shows in hosts files; status changes without effect there are common.
bool same_names(const Json& before, const Json& after) {
  const auto of = [](const Json& pod) {
    return fmt::format("{} {} {} {} {} {}", find_string(pod, {"metadata", "uid"}),
                       find_string(pod, {"metadata", "deletionTimestamp"}),
                       find_string(pod, {"status", "phase"}), find_string(pod, {"status", "podIP"}),
                       find_string(pod, {"spec", "hostname"}),
                       find_string(pod, {"spec", "subdomain"}));
  };
  return of(before) == of(after);
}

Result<> run_nft(const std::string& input) {
  platform::ProcessOptions options;
  options.argv = {"nft", "-f", "-"};
  options.input = input;
  BERTH_TRY([[maybe_unused]] const platform::ProcessResult result, platform::run_checked(options));
  return {};
}

bool table_exists(const std::string& table) {
  platform::ProcessOptions options;
  options.argv = {"nft", "list", "chain", "ip", table, "from_here"};
  const auto result = platform::run_process(options);
  return !result || result->exit_code == 0;
}

}  // namespace

ServiceProxy::ServiceProxy(client::ApiClient& client, platform::EventLoop& loop, Options options,
                           HostsFiles& hosts)
    : loop_(loop),
      options_(std::move(options)),
      hosts_(hosts),
      services_(client, loop, follow(collection("", "v1", "services")),
                {.added = [this](const SharedJson&) { changed(); },
                 .updated = [this](const SharedJson&, const SharedJson&) { changed(); },
                 .deleted = [this](const SharedJson&) { changed(); },
                 .synced = [this] { changed(); },
                 .failed = nullptr}),
      slices_(client, loop, follow(collection("discovery.k8s.io", "v1", "endpointslices")),
              {.added = [this](const SharedJson&) { changed(); },
               .updated = [this](const SharedJson&, const SharedJson&) { changed(); },
               .deleted = [this](const SharedJson&) { changed(); },
               .synced = [this] { changed(); },
               .failed = nullptr}),
      pods_(client, loop, follow(collection("", "v1", "pods")),
            {.added = [this](const SharedJson&) { changed(); },
             .updated =
                 [this](const SharedJson& before, const SharedJson& after) {
                   if (!same_names(*before, *after)) changed();
                 },
             .deleted = [this](const SharedJson&) { changed(); },
             .synced = [this] { changed(); },
             .failed = nullptr}) {
  pods_.add_index("uid", [](const Json& pod) {
    return std::vector<std::string>{std::string(find_string(pod, {"metadata", "uid"}))};
  });
}

ServiceProxy::~ServiceProxy() {
  loop_.cancel(timer_);
  loop_.cancel(verify_timer_);
}

void ServiceProxy::start() {
  services_.start();
  slices_.start();
  pods_.start();
  verify_later();
}

void ServiceProxy::add_pod(LocalPod pod) {
  if (!pods_.by_index("uid", pod.uid).empty()) write_own(pod);
  local_pods_[pod.uid] = std::move(pod);
}

Result<> ServiceProxy::drain(const std::string& uid) {
  const auto pod = local_pods_.find(uid);
  if (pod == local_pods_.end() || !draining_.insert(pod->second.ip).second) return {};
  return reconcile();
}

void ServiceProxy::remove_pod(const std::string& uid) {
  if (const auto pod = local_pods_.find(uid); pod != local_pods_.end()) {
    draining_.erase(pod->second.ip);
    local_pods_.erase(pod);
  }
  hosts_.remove(uid);
}

void ServiceProxy::verify_later() {
  verify_timer_ = loop_.after(options_.verify, [this] {
    if (!applied_.empty() && !table_exists(options_.network.table)) {
      spdlog::warn("network: somebody removed the nftables table {}; making it again",
                   options_.network.table);
      applied_.clear();
      (void)reconcile();  // it said what went wrong
    }
    verify_later();
  });
}

void ServiceProxy::changed() {
  if (scheduled_) return;
  scheduled_ = true;
  const Duration rest = std::min(took_ * kRestPerWork, options_.longest_rest);
  timer_ = loop_.after(std::max(options_.gather, rest - since_.elapsed()), [this] {
    scheduled_ = false;
    const platform::Stopwatch watch;
    (void)reconcile();  // it said what went wrong
    took_ = watch.elapsed();
    since_ = {};
  });
}

Result<> ServiceProxy::reconcile() {
  // From half of the picture the rules would cut off Services that are well.
  if (!services_.synced() || !slices_.synced() || !pods_.synced()) return {};
  const std::vector<SharedJson> services = objects_of(services_);
  const std::vector<SharedJson> slices = objects_of(slices_);
  update_hosts(services, slices);
  return apply_rules(services, slices);
}

Result<> ServiceProxy::apply_rules(const std::vector<SharedJson>& services,
                                   const std::vector<SharedJson>& slices) {
  std::string text = nft_ruleset(options_.network, service_ports(services, slices, draining_));
  if (text == applied_) return {};
  const auto applied = run_nft(text);
  report(applied);
  if (applied) {
    applied_ = std::move(text);
    return {};
  }
  applied_.clear();
  loop_.cancel(timer_);
  scheduled_ = true;
  timer_ = loop_.after(options_.retry, [this] {
    scheduled_ = false;
    (void)reconcile();  // it said what went wrong
  });
  return applied;
}

void ServiceProxy::update_hosts(const std::vector<SharedJson>& services,
                                const std::vector<SharedJson>& slices) {
  for (const auto& [uid, pod] : local_pods_) {
    if (!pods_.by_index("uid", uid).empty()) write_own(pod);
  }
  report(hosts_.update(HostNames(services, slices, objects_of(pods_))));
}

void ServiceProxy::write_own(const LocalPod& pod) {
  const std::vector<SharedJson> found = pods_.by_index("uid", pod.uid);
  const Json* object = found.empty() ? nullptr : found.front().get();
  report(hosts_.put(pod.uid, pod.hosts_path, pod.ns,
                    own_host_lines(object, pod.ns, pod.name, pod.ip)));
}

void ServiceProxy::report(const Result<>& result) {
  if (result) return;
  std::string text = result.error().to_string();
  if (text == reported_) return;
  spdlog::warn("network: {}", text);
  reported_ = std::move(text);
}

}  // namespace berth::node
