#include "node/agent/agent.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "client/informer.h"
#include "node/agent/admission.h"
#include "node/agent/recovery.h"
#include "node/agent/upkeep.h"
#include "node/device_ledger.h"
#include "node/event_recorder.h"
#include "node/files.h"
#include "node/gated_client.h"
#include "node/host/host.h"
#include "node/node_object.h"
#include "node/pod/host/pod_host.h"
#include "node/runtime/directory_watcher.h"
#include "node/work_pool.h"
#include "platform/event_loop.h"

namespace berth::node {
namespace {

using objects::find_string;

const client::Resource kPods = {"", "v1", "pods"};
constexpr size_t kProbeThreads = 8;

std::string short_hash(std::string_view text) {
  uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return fmt::format("{:08x}", hash);
}

}  // namespace

// The members are made in this order and go in the opposite one: pods before the pools that carry
// their work, pools before the loop that their answers go to.
struct Agent::State {
  AgentOptions options;
  std::unique_ptr<CgroupTree> cgroups;
  HostFindings findings;
  MachineFacts facts;
  std::unique_ptr<ContainerRuntime> runtime;
  platform::EventLoop loop;
  std::unique_ptr<GatedClient> api;
  std::unique_ptr<EventRecorder> events;
  std::unique_ptr<WorkPool> work;
  std::unique_ptr<WorkPool> probes;
  std::unique_ptr<WorkPool> slow;  ///< measuring disks and asking drivers
  std::unique_ptr<NodeContext> context;
  PodHosts pods;
  DeviceLedger devices;
  std::unique_ptr<Upkeep> upkeep;
  std::unique_ptr<NodeRegistrar> registrar;
  std::unique_ptr<client::Informer> informer;
  std::unique_ptr<DirectoryWatcher> exits;
  std::thread thread;
  bool stopped = false;
  bool draining = false;

  explicit State(AgentOptions o) : options(std::move(o)) {}

  Time now() const { return options.clock.now(); }

  // ---- start ----

  Result<> open() {
    BERTH_CHECK(check_host());
    for (const char* folder : {"/pods", "/logs", "/seccomp"})
      BERTH_CHECK(make_directories(options.data_dir + folder, 0711));
    BERTH_TRY(const std::string mounts, read_file("/proc/self/mountinfo"));
    BERTH_TRY(CgroupTree tree, CgroupTree::detect(mounts));
    cgroups = std::make_unique<CgroupTree>(std::move(tree));
    for (const char* group : {"", "/burstable", "/besteffort"})
      BERTH_CHECK(cgroups->ensure(options.cgroup_root + group));
    BERTH_TRY(findings, examine_host(*cgroups, options.cgroup_root));
    findings.abilities.seccomp_profiles = options.data_dir + "/seccomp";
    CgroupLimits least;
    least.cpu_shares = 2;
    BERTH_CHECK(cgroups->apply(options.cgroup_root + "/besteffort", least));
    facts = machine_facts(options.data_dir);

    ContainerRuntime::Options where;
    where.runc = platform::find_program("runc");
    where.conmon = platform::find_program("conmon");
    where.state_dir = options.runtime_dir.empty() ? "/run/berth/" + short_hash(options.data_dir)
                                                  : options.runtime_dir;
    // Not on the disk that pods fill: an exit code that cannot be written is lost.
    where.exit_dir = where.state_dir + "/exits";
    const std::string monitors = options.cgroup_root + "/monitors";
    if (const std::string procs = cgroups->manager_procs_file(monitors); !procs.empty()) {
      BERTH_CHECK(make_directories(procs.substr(0, procs.rfind('/'))));
      where.monitor_cgroup_procs = procs;
    }
    BERTH_TRY(ContainerRuntime opened, ContainerRuntime::open(std::move(where)));
    runtime = std::make_unique<ContainerRuntime>(std::move(opened));

    api = std::make_unique<GatedClient>(options.api);
    events = std::make_unique<EventRecorder>(*api, options.clock, options.node_name);
    work = std::make_unique<WorkPool>(options.workers);
    probes = std::make_unique<WorkPool>(kProbeThreads);
    slow = std::make_unique<WorkPool>(1);
    options.reserved_disk_bytes = std::min(options.reserved_disk_bytes, facts.disk_bytes / 10);
    PodSurroundings around;
    around.node_name = options.node_name;
    around.host_ip = facts.address;
    around.node_cpu_milli = facts.cpus * 1000 - options.reserved_cpu_milli;
    around.node_memory_bytes = facts.memory_bytes - options.reserved_memory_bytes;
    around.node_ephemeral_storage_bytes = facts.disk_bytes - options.reserved_disk_bytes;
    context = std::make_unique<NodeContext>(NodeContext{
        options.clock, loop, *api, options.network, options.images, options.devices, *runtime,
        *cgroups, findings.abilities, *events, *work, *probes, options.data_dir,
        options.cgroup_root, std::move(around),
        VolumeOptions{options.allow_host_path, options.host_dirs}, options.pids_per_pod});
    BERTH_TRY(auto found, options.devices.discover());
    devices.set_devices(std::move(found));
    upkeep = std::make_unique<Upkeep>(Upkeep::Parts{
        options, *context, pods, devices, *slow,
        [this](std::vector<Device> seen) { registrar->set_devices(std::move(seen)); }});
    return recover_pods(
        {*context, pods, devices, [this](const std::string& gone) { forget(gone); }});
  }

  Result<> begin() {
    BERTH_TRY(exits, DirectoryWatcher::start(runtime->options().exit_dir, [this](std::string id) {
                loop.post([this, id = std::move(id)] { on_exit_file(id); });
              }));
    loop.post([this] {
      for (const auto& [uid, host] : PodHosts(pods)) host->admit();
      // What ended between its adoption and the start of the watch.
      on_exit_file({});
      NodeOffer offer;
      offer.name = options.node_name;
      offer.facts = facts;
      offer.max_pods = options.max_pods;
      offer.reserved_cpu_milli = options.reserved_cpu_milli;
      offer.reserved_memory_bytes = options.reserved_memory_bytes;
      offer.reserved_disk_bytes = options.reserved_disk_bytes;
      offer.host_limits = findings.limits;
      registrar = std::make_unique<NodeRegistrar>(*api, loop, options.clock, std::move(offer));
      registrar->start(devices.devices());
      client::Informer::Options watch;
      watch.collection = {kPods, {}, {}, {}};
      watch.field_selector = "spec.nodeName=" + options.node_name;
      client::Informer::Handlers handlers;
      handlers.added = [this](const SharedJson& pod) { on_pod(*pod); };
      handlers.updated = [this](const SharedJson&, const SharedJson& pod) { on_pod(*pod); };
      handlers.deleted = [this](const SharedJson& pod) { on_gone(*pod); };
      handlers.synced = [this] { on_synced(); };
      handlers.failed = [](const Error& error) {
        spdlog::warn("node: the watch on pods failed, it is tried again: {}", error.to_string());
      };
      informer =
          std::make_unique<client::Informer>(*api, loop, std::move(watch), std::move(handlers));
      informer->start();
      upkeep->start();
      for (const std::string& limit : findings.limits) spdlog::info("node: {}", limit);
    });
    thread = std::thread([this] { loop.run(); });
    return {};
  }

  // ---- pods ----

  void on_pod(const Json& object) {
    if (draining) return;
    const std::string uid(find_string(object, {"metadata", "uid"}));
    const auto found = pods.find(uid);
    if (found != pods.end() && found->second->knows(object)) return;
    auto pod = read_pod(object);
    if (!pod) {
      if (found == pods.end())
        spdlog::warn("node: pod {}/{} cannot be read: {}",
                     find_string(object, {"metadata", "namespace"}),
                     find_string(object, {"metadata", "name"}), pod.error().to_string());
      return;
    }
    if (found != pods.end()) {
      found->second->update(*std::move(pod));
      return;
    }
    // A pod of the same name with another uid: the old one was deleted unseen.
    for (const auto& [other, host] : pods)
      if (host->pod().ns == pod->ns && host->pod().name == pod->name) {
        host->removed();
        break;
      }
    const std::string_view phase = find_string(object, {"status", "phase"});
    const bool over = phase == "Succeeded" || phase == "Failed";
    // Its folder is gone with the data folder: nothing is left to run, only to let it be deleted.
    if (over && !pod->deleting) return;
    admit(*std::move(pod), over);
  }

  void admit(PodSpec pod, bool over) {
    PodState record = new_record(pod, now());
    record.ended = over;
    const std::string uid = pod.uid;
    auto host = std::make_shared<PodHost>(*context, std::move(pod), std::move(record),
                                          [this](const std::string& gone) { forget(gone); });
    pods[uid] = host;
    const auto refusal =
        over ? std::optional<Refusal>() : refuses(options, pods, devices, host->pod());
    if (refusal)
      host->refuse(refusal->reason, refusal->message);
    else
      host->admit();
  }

  void on_gone(const Json& object) {
    const auto found = pods.find(std::string(find_string(object, {"metadata", "uid"})));
    if (found == pods.end()) return;
    const auto host = found->second;
    host->removed();
  }

  /// Pods whose objects were deleted while nobody watched.
  void on_synced() {
    std::set<std::string> present;
    for (const auto& [key, object] : informer->objects())
      present.insert(std::string(find_string(*object, {"metadata", "uid"})));
    std::vector<std::shared_ptr<PodHost>> gone;
    for (const auto& [uid, host] : pods)
      if (!present.contains(uid)) gone.push_back(host);
    for (const auto& host : gone) host->removed();
  }

  void forget(const std::string& uid) {
    devices.give_back(uid);
    upkeep->forget(uid);
    pods.erase(uid);
  }

  void on_exit_file(const std::string& id) {
    for (const auto& [uid, host] : pods) {
      // An empty name: events were lost, so every file is looked at.
      if (!id.empty() && !id.starts_with(uid)) continue;
      const PodState& record = host->machine().record();
      for (const auto* list : {&record.init, &record.regular})
        for (const ContainerRecord& c : *list) {
          const std::string own = container_id(uid, c.name, c.attempt);
          const bool there =
              id.empty() ? ::access((runtime->options().exit_dir + "/" + own).c_str(), F_OK) == 0
                         : id == own;
          if (there) host->exited(c.name, c.attempt, /*monitor_gone=*/false);
        }
      if (!id.empty()) break;
    }
  }

  // ---- stop ----

  void stop(StopMode mode, Duration limit) {
    if (stopped) return;
    stopped = true;
    if (mode == StopMode::kDrain && thread.joinable()) drain(limit);
    exits.reset();
    // No answer of the API comes any more; what the pools still do is finished while the loop takes
    // its results, what they have not begun is dropped.
    if (api) api->shut();
    for (WorkPool* pool : {slow.get(), probes.get(), work.get()})
      if (pool != nullptr) pool->stop();
    if (thread.joinable()) {
      loop.post([this] {
        informer.reset();
        registrar.reset();
        loop.stop();
      });
      thread.join();
    }
    pods.clear();
    if (cgroups && mode == StopMode::kDrain)
      for (const char* group : {"/burstable", "/besteffort", "/monitors", ""})
        cgroups->remove_if_unused(options.cgroup_root + group);
    if (runtime) runtime->close();
  }

  void drain(Duration limit) {
    std::mutex done_mutex;
    std::condition_variable changed;
    bool done = false;
    std::function<void()> look = [&] {
      const bool over = std::all_of(pods.begin(), pods.end(), [](const auto& entry) {
        return entry.second->machine().torn_down();
      });
      if (!over) {
        loop.after(Duration::milliseconds(20), look);
        return;
      }
      const std::lock_guard lock(done_mutex);
      done = true;
      changed.notify_all();
    };
    loop.post([&] {
      draining = true;
      for (const auto& [uid, host] : PodHosts(pods))
        host->end("Terminated", "Pod was terminated because Berth was told to stop.",
                  host->pod().termination_grace);
      look();
    });
    std::unique_lock lock(done_mutex);
    changed.wait_for(lock, std::chrono::nanoseconds(limit.ns), [&] { return done; });
    if (done) return;
    // Out of time: no more turns of `look` may use this frame.
    lock.unlock();
    std::mutex halt;
    std::condition_variable halted;
    bool quiet = false;
    loop.post([&] {
      look = [] {};
      const std::lock_guard guard(halt);
      quiet = true;
      halted.notify_all();
    });
    std::unique_lock wait(halt);
    halted.wait(wait, [&] { return quiet; });
  }
};

bool runs_in_a_pod(int pid, const std::string& cgroup_root) {
  const auto table = read_file(fmt::format("/proc/{}/cgroup", pid));
  return table && table->find(":" + cgroup_root + "/") != std::string::npos;
}

Result<std::unique_ptr<Agent>> Agent::start(AgentOptions options) {
  auto state = std::make_unique<State>(std::move(options));
  BERTH_CHECK(state->open());
  BERTH_CHECK(state->begin());
  return std::unique_ptr<Agent>(new Agent(std::move(state)));
}

Agent::Agent(std::unique_ptr<State> state) : state_(std::move(state)) {}

Agent::~Agent() {
  stop(StopMode::kLeaveRunning);
}

Result<std::string> Agent::log_path(const LogTarget& target) const {
  return find_log(state_->options.data_dir, target.pod_uid, target.container, target.previous);
}

Result<std::unique_ptr<LogFollower>> Agent::open_log(const LogTarget& target, const LogQuery& query,
                                                     bool follow, LogFollower::Sink sink) const {
  BERTH_TRY(const std::string path, log_path(target));
  return std::make_unique<LogFollower>(
      path, query, follow,
      [data_dir = state_->options.data_dir, exit_dir = state_->runtime->options().exit_dir, path,
       target] { return log_is_over(data_dir, exit_dir, target.pod_uid, target.container, path); },
      std::move(sink));
}

void Agent::stop(StopMode mode, Duration limit) {
  state_->stop(mode, limit);
}

std::vector<std::string> Agent::host_limits() const {
  return state_->findings.limits;
}

UsageSnapshot Agent::usage() const {
  return state_->upkeep->usage();
}

}  // namespace berth::node
