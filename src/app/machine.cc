#include "app/machine.h"

#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "apiserver/server.h"
#include "app/build.h"
#include "app/measured_use.h"
#include "app/metrics.h"
#include "app/providers.h"
#include "app/service_demand.h"
#include "bridge/cost/bookkeeper.h"
#include "bridge/scheduler.h"
#include "controllers/runner.h"
#include "node/agent/agent.h"
#include "node/devices/devices.h"
#include "node/devices/emulated.h"
#include "node/event_recorder.h"
#include "node/host/host.h"
#include "node/images/oci_store.h"
#include "node/network/network.h"
#include "node/network/services/service_range.h"
#include "platform/orphans.h"

namespace berth::app {
namespace {

constexpr Duration kOrphanLimit = Duration::seconds(5);

void log_line(bool warning, std::string_view text) {
  spdlog::log(warning ? spdlog::level::warn : spdlog::level::info, "{}", text);
}

Result<std::unique_ptr<node::Devices>> open_devices(const MachineOptions& options) {
  node::DevicesOptions devices;
  for (const std::string& text : options.emulated_devices) {
    BERTH_TRY(node::EmulatedDevices emulated, node::parse_emulated_devices(text));
    devices.emulated.push_back(std::move(emulated));
  }
  devices.is_own = [root = options.cgroup_root](int pid) { return node::runs_in_a_pod(pid, root); };
  return node::Devices::open(std::move(devices));
}

}  // namespace

/// In the order of their start; they stop and go in the reverse one.
struct Machine::Parts {
  std::unique_ptr<apiserver::Server> server;
  std::unique_ptr<bridge::Bookkeeper> bookkeeper;
  std::unique_ptr<node::OciStore> images;
  std::unique_ptr<node::Devices> devices;
  std::unique_ptr<node::Network> network;
  std::unique_ptr<MeasuredUse> measured;
  std::unique_ptr<node::Agent> agent;
  std::unique_ptr<bridge::Scheduler> scheduler;
  std::unique_ptr<controllers::Runner> controllers;
  std::unique_ptr<ServiceDemand> demand;

  std::unique_ptr<NodeLogs> logs;
  std::unique_ptr<NodeUsage> usage;
  std::unique_ptr<SchedulerExplanations> explanations;
  std::unique_ptr<LedgerCosts> costs;
  std::unique_ptr<Metrics> metrics;
  std::unique_ptr<node::EventRecorder> events;  ///< on the thread of `Machine`'s caller
};

Machine::Machine(std::unique_ptr<Parts> parts, std::string node_name, const Clock& clock)
    : node_name_(std::move(node_name)), clock_(clock), parts_(std::move(parts)) {}

Result<std::unique_ptr<Machine>> Machine::start(const MachineOptions& options, const Clock& clock) {
  BERTH_CHECK(node::check_host());
  auto parts = std::make_unique<Parts>();
  Parts& p = *parts;
  // First what may be refused for what the user wrote, and changes nothing.
  BERTH_TRY(p.devices, open_devices(options));
  node::PlanningLock planning;
  BERTH_TRY(const Subnet services, node::service_range(options.data_dir, options.service_subnet));
  // The data folder is locked from here on.
  BERTH_TRY(p.server, apiserver::Server::start({.data_dir = options.data_dir,
                                                .address = options.address,
                                                .port = static_cast<uint16_t>(options.port),
                                                .clock = &clock,
                                                .services = services}));
  // A runc or a CNI plugin of a Berth that was killed is let finish before anyone looks.
  platform::settle_orphans(kOrphanLimit);
  client::ApiClient& api = p.server->client();
  BERTH_TRY(p.bookkeeper, bridge::Bookkeeper::start({.client = api,
                                                     .clock = clock,
                                                     .file = options.data_dir + "/ledger.db",
                                                     .prices = price_list(options.configuration),
                                                     .currency = options.configuration.currency,
                                                     .log = log_line}));
  BERTH_TRY(p.images, node::OciStore::open({.directory = options.data_dir + "/images",
                                            .host_dirs = options.host_dirs,
                                            .hidden = {options.data_dir}},
                                           clock, /*owner=*/true));
  BERTH_TRY(p.network, node::Network::start({.data_dir = options.data_dir,
                                             .cni_conf_dir = options.cni_conf_dir,
                                             .pod_subnet = options.pod_subnet,
                                             .service_subnet = services.to_string()},
                                            api, std::move(planning)));
  node::AgentOptions agent{.data_dir = options.data_dir,
                           .node_name = options.node_name,
                           .clock = clock,
                           .api = api,
                           .network = *p.network,
                           .images = *p.images,
                           .devices = *p.devices};
  agent.allow_host_path = options.allow_host_path;
  agent.host_dirs = options.host_dirs;
  agent.allow_host_network = options.allow_host_network;
  agent.allow_privileged = options.allow_privileged;
  agent.cgroup_root = options.cgroup_root;
  p.measured = std::make_unique<MeasuredUse>(options.node_name);
  agent.on_usage = [feed = p.measured.get()](const node::UsageSnapshot& usage) {
    feed->window(usage);
  };
  BERTH_TRY(p.agent, node::Agent::start(std::move(agent)));
  BERTH_TRY(p.scheduler, bridge::Scheduler::start({.client = api,
                                                   .clock = clock,
                                                   .journal_dir = options.data_dir + "/journal",
                                                   .configuration = scheduler_configuration(
                                                       options.configuration, clock.now()),
                                                   .build = kBuild,
                                                   .log = log_line}));
  BERTH_TRY(p.controllers,
            controllers::Runner::start(
                {.client = api,
                 .clock = clock,
                 .read_model = [headers = std::make_shared<platform::ModelHeaders>()](
                                   const std::string& path) { return headers->read(path); },
                 .prices = price_list(options.configuration)}));
  p.measured->feed(p.scheduler.get(), p.controllers.get());

  p.demand = std::make_unique<ServiceDemand>();
  p.demand->feed(p.controllers.get());
  p.logs = std::make_unique<NodeLogs>(*p.agent);
  p.usage = std::make_unique<NodeUsage>(*p.agent, options.node_name);
  p.explanations = std::make_unique<SchedulerExplanations>(*p.scheduler);
  p.costs = std::make_unique<LedgerCosts>(*p.bookkeeper);
  p.metrics = std::make_unique<Metrics>(api, *p.agent, *p.scheduler, kBuild);
  p.events = std::make_unique<node::EventRecorder>(api, clock, options.node_name);
  p.server->provide({.logs = p.logs.get(),
                     .usage = p.usage.get(),
                     .explain = p.explanations.get(),
                     .demand = p.demand.get(),
                     .metrics = p.metrics.get(),
                     .cost = p.costs.get()});
  return std::unique_ptr<Machine>(new Machine(std::move(parts), options.node_name, clock));
}

Machine::~Machine() {
  stop(/*drain=*/false);
}

std::string Machine::address() const {
  return parts_->server->address();
}
std::string Machine::kubeconfig() const {
  return parts_->server->kubeconfig().string();
}

std::vector<std::string> Machine::remarks() const {
  return parts_->network->changes();
}

void Machine::warn_of_troubles() {
  for (const std::string& trouble : parts_->network->troubles())
    tell(/*warning=*/true, "ForwardingBlocked", trouble);
}

Result<> Machine::configure(const Configuration& configuration) {
  BERTH_CHECK(parts_->bookkeeper->set_prices(price_list(configuration), configuration.currency));
  parts_->controllers->set_prices(price_list(configuration));
  return parts_->scheduler->configure(scheduler_configuration(configuration, clock_.now()));
}

void Machine::tell(bool warning, const std::string& reason, const std::string& message) {
  log_line(warning, message);
  // As kubelets do: events about a node bear its name as uid, where `kubectl describe` looks.
  parts_->events->record(
      {.kind = "Node", .ns = {}, .name = node_name_, .uid = node_name_, .container = {}}, warning,
      reason, message);
}

size_t Machine::stop(bool drain) {
  Parts& p = *parts_;
  if (p.agent == nullptr) return 0;
  p.demand->feed(nullptr);
  p.measured->feed(nullptr, nullptr);
  p.controllers.reset();
  p.scheduler->stop();
  p.bookkeeper->stop();
  p.agent->stop(drain ? node::Agent::StopMode::kDrain : node::Agent::StopMode::kLeaveRunning);
  // Until here the providers answer, though with nothing new.
  p.server->stop();
  const auto networks = p.network->list();
  const size_t running = networks ? networks->size() : 0;
  if (running == 0) {
    if (const auto cleaned = p.network->cleanup_all(); !cleaned)
      spdlog::warn("the network is not cleaned up: {}", cleaned.error().to_string());
  }
  p.events.reset();
  p.metrics.reset();
  p.scheduler.reset();
  p.agent.reset();
  p.network.reset();
  p.bookkeeper.reset();
  p.server.reset();
  return running;
}

}  // namespace berth::app
