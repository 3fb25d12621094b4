#include "node/agent.h"

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>

#include <boost/json/parse.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/quantity.h"
#include "client/informer.h"
#include "node/device_ledger.h"
#include "node/event_recorder.h"
#include "node/files.h"
#include "node/gated_client.h"
#include "node/host/host.h"
#include "node/node_object.h"
#include "node/pod/pod_host.h"
#include "node/pod/pod_status.h"
#include "node/runtime/directory_watcher.h"
#include "node/runtime/mounts.h"
#include "node/work_pool.h"
#include "platform/event_loop.h"

namespace berth::node {
namespace {

using objects::find_string;

const client::Resource kPods = {"", "v1", "pods"};
constexpr size_t kProbeThreads = 8;
/// ConfigMaps, Secrets and tokens in volumes are renewed this often.
constexpr Duration kRefreshPeriod = Duration::seconds(60);
constexpr std::string_view kCheckpointVariable = "BERTH_CHECKPOINT_FILE=";

std::string short_hash(std::string_view text) {
  uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return fmt::format("{:08x}", hash);
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    out.push_back(entry.path().filename());
  return out;
}

/// When a file as a process sees it was last changed; links stay inside the process's root.
std::optional<Time> modified_in(int pid, const std::string& path) {
  const platform::Fd root(
      ::open(fmt::format("/proc/{}/root", pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return std::nullopt;
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const platform::Fd file(
      static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how)));
  struct stat status{};
  if (!file.valid() || ::fstat(file.get(), &status) != 0) return std::nullopt;
  return Time{status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
}

/// The file that a container's run says it saves its progress to.
struct Checkpoint {
  int attempt = -1;
  std::string path;  ///< empty: it says none
  std::optional<Time> changed;
};

/// As the container got it in its environment, whatever that was made of; empty where it is unset.
std::string checkpoint_path(const std::string& attempt_folder) {
  const auto text = read_file(attempt_folder + "/bundle/config.json");
  if (!text) return {};
  boost::system::error_code error;
  const Json config = boost::json::parse(*text, error);
  if (error) return {};
  std::string path;
  for (const Json& variable : objects::find_array(config, {"process", "env"}))
    if (variable.is_string() &&
        std::string_view(variable.get_string()).starts_with(kCheckpointVariable))
      path = std::string_view(variable.get_string()).substr(kCheckpointVariable.size());
  return path;
}

/// What an earlier agent left of one pod.
struct Leftover {
  PodSpec pod;
  PodState record;
};

Result<Leftover> read_leftover(const PodPaths& paths, Time now) {
  BERTH_TRY(const std::string object_text, read_file(paths.object()));
  boost::system::error_code parse_error;
  const Json object = boost::json::parse(object_text, parse_error);
  if (parse_error) return fail(ErrorCode::kInternal, "not JSON", paths.object());
  BERTH_TRY(PodSpec pod, read_pod(object));
  PodState record = new_record(pod, now);
  if (const auto text = read_file(paths.state())) {
    const Json state = boost::json::parse(*text, parse_error);
    if (!parse_error) {
      BERTH_TRY(record, record_from_json(state, pod, now));
    }
  }
  return Leftover{std::move(pod), std::move(record)};
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
  std::unordered_map<std::string, std::shared_ptr<PodHost>> pods;  ///< by uid
  DeviceLedger devices;
  std::unique_ptr<NodeRegistrar> registrar;
  std::unique_ptr<client::Informer> informer;
  std::unique_ptr<DirectoryWatcher> exits;
  std::thread thread;
  bool stopped = false;
  bool draining = false;

  UsageRates rates;
  mutable std::mutex mutex;
  UsageSnapshot snapshot;                                                // guarded by mutex
  std::map<std::string, std::map<std::string, Checkpoint>> checkpoints;  ///< by pod uid, container
  Time refreshed;

  explicit State(AgentOptions o) : options(std::move(o)) {}

  Time now() const { return options.clock.now(); }

  // ---- start ----

  Result<> open() {
    BERTH_CHECK(check_host());
    for (const char* folder : {"/pods", "/logs", "/exits", "/seccomp"})
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
    where.exit_dir = options.data_dir + "/exits";
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
    PodSurroundings around;
    around.node_name = options.node_name;
    around.host_ip = facts.address;
    around.node_cpu_milli = facts.cpus * 1000 - options.reserved_cpu_milli;
    around.node_memory_bytes = facts.memory_bytes - options.reserved_memory_bytes;
    around.node_ephemeral_storage_bytes = facts.disk_bytes - options.reserved_disk_bytes;
    context = std::make_unique<NodeContext>(
        NodeContext{options.clock, loop, *api, options.network, options.images, options.devices,
                    *runtime, *cgroups, findings.abilities, *events, *work, *probes,
                    options.data_dir, options.cgroup_root, std::move(around),
                    VolumeOptions{options.allow_host_path}, options.pids_per_pod});
    BERTH_TRY(auto found, options.devices.discover());
    devices.set_devices(std::move(found));
    return adopt();
  }

  /// Finds what an earlier agent left: pods by their folders, containers by their ids. What belongs
  /// to no pod goes.
  Result<> adopt() {
    BERTH_TRY(const auto running, runtime->list());
    std::map<std::string, ContainerRuntime::Found> by_id;
    for (const auto& found : running) by_id[found.id] = found;
    std::set<std::string> known_ids;
    std::set<std::string> known_pods;
    for (const std::string& uid : names_in(options.data_dir + "/pods")) {
      const PodPaths paths(options.data_dir, uid);
      auto left = read_leftover(paths, now());
      if (!left) {
        // Killed before the pod was written down: nothing of it can have started.
        (void)unmount_below(paths.root);
        (void)remove_tree(paths.root);
        continue;
      }
      known_pods.insert(uid);
      (void)devices.take(uid,
                         left->record.ended ? std::vector<AssignedDevice>{} : left->pod.devices);
      auto host = std::make_shared<PodHost>(*context, left->pod, left->record,
                                            [this](const std::string& gone) { forget(gone); });
      for (auto* list : {&left->record.init, &left->record.regular})
        for (const ContainerRecord& c : *list) adopt_container(*host, c, by_id, known_ids);
      pods[uid] = std::move(host);
    }
    for (const auto& [id, found] : by_id)
      if (!known_ids.contains(id)) (void)runtime->remove(id);
    if (const auto networks = options.network.list())
      for (const std::string& uid : *networks)
        if (!known_pods.contains(uid)) (void)options.network.release(uid);
    return {};
  }

  void adopt_container(PodHost& host, const ContainerRecord& c,
                       const std::map<std::string, ContainerRuntime::Found>& by_id,
                       std::set<std::string>& known_ids) {
    const std::string& uid = host.pod().uid;
    const std::string id = container_id(uid, c.name, c.attempt);
    known_ids.insert(id);
    if (c.stage != Stage::kStarting && c.stage != Stage::kRunning && c.stage != Stage::kStopping)
      return;
    const bool exit_known = ::access((options.data_dir + "/exits/" + id).c_str(), F_OK) == 0;
    const auto found = by_id.find(id);
    const std::string bundle = host.paths().attempt(c.name, c.attempt) + "/bundle";
    const bool created =
        found != by_id.end() && found->second.phase == ContainerRuntime::Phase::kCreated;
    if (!exit_known && (created || (found == by_id.end() && c.stage == Stage::kStarting))) {
      host.machine().on_recovered_absent(c.name, c.attempt);
      return;
    }
    struct stat status{};
    Time since = now();
    if (::stat((bundle + "/pid").c_str(), &status) == 0)
      since = Time{status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
    host.machine().on_recovered_running(c.name, c.attempt, since);
    const bool runs =
        found != by_id.end() && found->second.phase != ContainerRuntime::Phase::kStopped;
    if (runs && !exit_known) {
      host.adopt_pid(c.name, found->second.pid);
      return;
    }
    const auto monitor = read_integer(bundle + "/conmon.pid");
    const bool monitored = monitor && *monitor > 0 && ::kill(static_cast<pid_t>(*monitor), 0) == 0;
    // A monitor that still lives is about to write the exit code.
    if (!exit_known && monitored) return;
    loop.post([this, uid, name = c.name, attempt = c.attempt] {
      if (const auto pod = pods.find(uid); pod != pods.end())
        pod->second->exited(name, attempt, false);
    });
  }

  Result<> begin() {
    BERTH_TRY(exits, DirectoryWatcher::start(options.data_dir + "/exits", [this](std::string id) {
                loop.post([this, id = std::move(id)] { on_exit_file(id); });
              }));
    loop.post([this] {
      for (const auto& [uid, host] :
           std::map<std::string, std::shared_ptr<PodHost>>(pods.begin(), pods.end()))
        host->admit();
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
      schedule_sampling();
      schedule_device_check();
      for (const std::string& limit : findings.limits) spdlog::info("node: {}", limit);
    });
    thread = std::thread([this] { loop.run(); });
    return {};
  }

  // ---- pods ----

  void on_pod(const Json& object) {
    if (draining) return;
    auto pod = read_pod(object);
    const std::string uid(find_string(object, {"metadata", "uid"}));
    const auto found = pods.find(uid);
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
    const auto refusal = over ? std::nullopt : refuses(host->pod());
    if (refusal)
      host->refuse(refusal->first, refusal->second);
    else
      host->admit();
  }

  /// Why the node will not run a pod, as reason and message.
  std::optional<std::pair<std::string, std::string>> refuses(const PodSpec& pod) {
    using Refusal = std::pair<std::string, std::string>;
    const auto active = std::count_if(pods.begin(), pods.end(), [](const auto& entry) {
      return !entry.second->machine().record().ended;
    });
    if (active > options.max_pods)
      return Refusal{"OutOfpods",
                     fmt::format("the node runs {} pods, which is its limit", options.max_pods)};
    if ((pod.host_network || pod.host_pid || pod.host_ipc) && !options.allow_host_network)
      return Refusal{"HostNamespacesForbidden",
                     "hostNetwork, hostPID and hostIPC are not allowed on this node; leave them "
                     "out, or start Berth with them allowed"};
    for (const auto* list : {&pod.init_containers, &pod.containers})
      for (const ContainerSpec& c : *list) {
        if (c.privileged && !options.allow_privileged)
          return Refusal{"PrivilegedForbidden",
                         fmt::format("container {} asks to be privileged, which is not allowed on "
                                     "this node",
                                     c.name)};
        for (const auto& [resource, count] : c.extended) {
          const auto given = std::count_if(
              pod.devices.begin(), pod.devices.end(),
              [&, name = resource](const AssignedDevice& d) { return d.resource == name; });
          if (given < count)
            return Refusal{"UnexpectedAdmissionError",
                           fmt::format("container {} asks for {} {}, but the binding names {}: was "
                                       "the pod bound by Berth's scheduler?",
                                       c.name, count, resource, given)};
        }
      }
    // The scheduler gives them on as soon as it sees that a pod has ended: not later than here.
    for (const auto& [uid, host] : pods)
      if (host->machine().record().ended) devices.give_back(uid);
    if (const auto taken = devices.take(pod.uid, pod.devices); !taken)
      return Refusal{"UnexpectedAdmissionError", taken.error().to_string()};
    return std::nullopt;
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
    checkpoints.erase(uid);
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
          const bool there = id.empty()
                                 ? ::access((options.data_dir + "/exits/" + own).c_str(), F_OK) == 0
                                 : id == own;
          if (there) host->exited(c.name, c.attempt, false);
        }
      if (!id.empty()) break;
    }
  }

  // ---- what is done now and then ----

  void schedule_sampling() {
    loop.after(options.usage_period, [this] {
      sample();
      schedule_sampling();
    });
  }

  void sample() {
    const Time at = now();
    UsageSnapshot fresh;
    const MachineCounters counters = machine_counters();
    fresh.machine.at = at;
    fresh.machine.window = options.usage_period;
    // The counter runs since boot, so the first sample of it says nothing yet.
    fresh.machine.cpu_cores = rates.cores("/", counters.busy_ns, at, at);
    fresh.machine.memory_bytes = counters.memory_used_bytes;
    std::vector<std::shared_ptr<PodHost>> now_running;
    for (const auto& [uid, host] : pods) {
      if (host->machine().record().ended) {
        devices.give_back(uid);
        continue;
      }
      now_running.push_back(host);
      fresh.pods.push_back(sample_pod(*host, at));
      tend(*host);
    }
    rates.sweep();
    {
      const std::lock_guard lock(mutex);
      fresh.devices = std::move(snapshot.devices);
      snapshot = std::move(fresh);
    }
    measure_disks(now_running);
    sample_devices();
    share_cpu_of_burstable();
    if (at - refreshed < kRefreshPeriod) return;
    refreshed = at;
    for (const auto& host : now_running) host->refresh_inputs();
  }

  PodUsage sample_pod(PodHost& host, Time at) {
    PodUsage out;
    out.ns = host.pod().ns;
    out.name = host.pod().name;
    out.uid = host.pod().uid;
    out.at = at;
    out.window = options.usage_period;
    out.devices = host.pod().devices;
    const PodState& record = host.machine().record();
    for (const auto* list : {&record.init, &record.regular})
      for (const ContainerRecord& c : *list) {
        if (c.stage != Stage::kRunning) continue;
        const std::string group = fmt::format("{}/{}-{}", host.cgroup(), c.name, c.attempt);
        const auto used = cgroups->usage(group);
        if (!used) continue;
        out.containers.push_back(
            {c.name, used->cpu_ns, rates.cores(group, used->cpu_ns, at, c.started_at),
             used->memory_bytes, used->io_read_bytes, used->io_written_bytes, used->pids});
      }
    return out;
  }

  /// Logs that have grown, monitors that died, checkpoints that were written.
  void tend(PodHost& host) {
    const PodState record = host.machine().record();
    for (const auto* list : {&record.init, &record.regular})
      for (const ContainerRecord& c : *list) {
        if (c.stage != Stage::kRunning && c.stage != Stage::kStopping) continue;
        const std::string bundle = host.paths().attempt(c.name, c.attempt) + "/bundle";
        const std::string log = container_log_path(host.log_folder(), c.name, c.attempt);
        if (const auto rotated = rotate_log(log); rotated && *rotated)
          (void)runtime->reopen_log(bundle);
        const int pid = host.pid_of(c.name);
        const auto monitor = read_integer(bundle + "/conmon.pid");
        const bool orphaned = pid > 0 && ::kill(pid, 0) != 0 && monitor &&
                              ::kill(static_cast<pid_t>(*monitor), 0) != 0;
        if (orphaned) {
          host.exited(c.name, c.attempt, false);
          continue;
        }
        note_checkpoint(host, c, pid);
      }
  }

  void note_checkpoint(PodHost& host, const ContainerRecord& c, int pid) {
    if (pid <= 0) return;
    Checkpoint& checkpoint = checkpoints[host.pod().uid][c.name];
    if (checkpoint.attempt != c.attempt)
      checkpoint = {c.attempt, checkpoint_path(host.paths().attempt(c.name, c.attempt)), {}};
    if (checkpoint.path.empty()) return;
    const auto changed = modified_in(pid, checkpoint.path);
    if (!changed || checkpoint.changed == changed) return;
    checkpoint.changed = changed;
    JsonObject annotations = {{"berth.dev/last-checkpoint", format_time(*changed)}};
    api->patch({kPods, host.pod().ns, host.pod().name, {}}, client::PatchType::kMerge,
               JsonObject{{"metadata", JsonObject{{"uid", host.pod().uid},
                                                  {"annotations", std::move(annotations)}}}},
               {}, [](const Result<SharedJson>&) {});
  }

  /// A driver may take its time: beside the loop.
  void sample_devices() {
    if (sampling_devices || devices.devices().empty()) return;
    sampling_devices = true;
    slow->run([this] {
      auto samples = options.devices.sample();
      loop.post([this, samples = std::move(samples)]() mutable {
        sampling_devices = false;
        if (!samples) return;
        const std::lock_guard lock(mutex);
        snapshot.devices = *std::move(samples);
      });
    });
  }
  bool sampling_devices = false;

  /// Ephemeral storage is measured beside the loop, and what is over its limit is evicted.
  void measure_disks(const std::vector<std::shared_ptr<PodHost>>& hosts) {
    struct Question {
      std::string uid;
      std::string root;
      std::string logs;
      std::map<std::string, int64_t> empty_dirs;
      std::map<std::string, int64_t> containers;  ///< limits
      int64_t pod_limit = 0;
      std::shared_ptr<const PodPaths> paths;
    };
    std::vector<Question> questions;
    for (const auto& host : hosts) {
      Question q;
      const PodSpec& pod = host->pod();
      q.empty_dirs = measured_empty_dirs(pod);
      bool any = std::any_of(q.empty_dirs.begin(), q.empty_dirs.end(),
                             [](const auto& e) { return e.second > 0; });
      bool all = true;
      for (const ContainerSpec& c : pod.containers) {
        const int64_t limit = c.limits.ephemeral_storage_bytes.value_or(0);
        q.containers[c.name] = limit;
        q.pod_limit += limit;
        any |= limit > 0;
        all &= limit > 0;
      }
      if (!any) continue;
      if (!all) q.pod_limit = 0;
      q.uid = pod.uid;
      q.paths = std::make_shared<const PodPaths>(host->paths());
      q.logs = host->log_folder();
      questions.push_back(std::move(q));
    }
    if (questions.empty() || measuring) return;
    measuring = true;
    slow->run([this, questions = std::move(questions)] {
      std::vector<std::pair<std::string, std::string>> over;
      for (const auto& q : questions) {
        std::string message;
        int64_t total = 0;
        for (const auto& [name, limit] : q.empty_dirs) {
          const int64_t used = disk_usage(q.paths->volume(name));
          total += used;
          if (limit > 0 && used > limit)
            message = fmt::format("Usage of EmptyDir volume \"{}\" exceeds the limit \"{}\".", name,
                                  Quantity::from_bytes(limit).to_string());
        }
        for (const auto& [name, limit] : q.containers) {
          const int64_t used =
              disk_usage(q.paths->container(name)) + disk_usage(q.logs + "/" + name);
          total += used;
          if (limit > 0 && used > limit)
            message = fmt::format("Container {} exceeded its local ephemeral storage limit \"{}\".",
                                  name, Quantity::from_bytes(limit).to_string());
        }
        if (q.pod_limit > 0 && total > q.pod_limit)
          message = fmt::format(
              "Pod ephemeral local storage usage exceeds the total limit of containers {}.",
              Quantity::from_bytes(q.pod_limit).to_string());
        if (!message.empty()) over.emplace_back(q.uid, std::move(message));
      }
      loop.post([this, over = std::move(over)] {
        measuring = false;
        for (const auto& [uid, message] : over)
          if (const auto host = pods.find(uid); host != pods.end())
            host->second->end("Evicted", message, Duration{});
      });
    });
  }
  bool measuring = false;

  /// Burstable pods together weigh what they asked for, against the guaranteed ones beside them.
  void share_cpu_of_burstable() {
    int64_t milli = 0;
    for (const auto& [uid, host] : pods)
      if (host->pod().qos == QosClass::kBurstable && !host->machine().record().ended)
        milli += pod_requests(host->pod()).cpu_milli.value_or(0);
    CgroupLimits limits;
    limits.cpu_shares = shares_from_milli_cpu(milli);
    if (limits.cpu_shares == burstable_shares) return;
    burstable_shares = limits.cpu_shares;
    (void)cgroups->apply(options.cgroup_root + "/burstable", limits);
  }
  std::optional<int64_t> burstable_shares;

  void schedule_device_check() {
    loop.after(options.device_period, [this] {
      slow->run([this] {
        auto found = options.devices.discover();
        loop.post([this, found = std::move(found)]() mutable {
          if (found) {
            devices.set_devices(*found);
            registrar->set_devices(*std::move(found));
          } else {
            spdlog::warn("node: devices cannot be listed: {}", found.error().to_string());
          }
          schedule_device_check();
        });
      });
    });
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
    if (runtime && mode == StopMode::kDrain)
      for (const char* folder : {"/runc", "/s", ""})  // those that are empty, and nothing else
        ::rmdir((runtime->options().state_dir + folder).c_str());
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
      for (const auto& [uid, host] :
           std::map<std::string, std::shared_ptr<PodHost>>(pods.begin(), pods.end()))
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
  const std::string data_dir = state_->options.data_dir;
  return std::make_unique<LogFollower>(
      path, query, follow,
      [data_dir, path, target] {
        return log_is_over(data_dir, target.pod_uid, target.container, path);
      },
      std::move(sink));
}

void Agent::stop(StopMode mode, Duration limit) {
  state_->stop(mode, limit);
}

std::vector<std::string> Agent::host_limits() const {
  return state_->findings.limits;
}

UsageSnapshot Agent::usage() const {
  const std::lock_guard lock(state_->mutex);
  return state_->snapshot;
}

}  // namespace berth::node
