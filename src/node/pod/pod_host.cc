#include "node/pod/pod_host.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <thread>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/text.h"
#include "node/files.h"
#include "node/images/host_image.h"
#include "node/pod/pod_files.h"
#include "node/runtime/mounts.h"

namespace berth::node {
namespace {

const client::Resource kPods = {"", "v1", "pods"};
constexpr Duration kStatusRetry = Duration::seconds(1);

/// The attempts of a container that have a folder.
std::vector<int> attempts_on_disk(const std::string& folder) {
  std::vector<int> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    int number = 0;
    const auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (status == std::errc() && end == name.data() + name.size()) out.push_back(number);
  }
  return out;
}

StartOutcome start_error(const Error& error) {
  StartOutcome out;
  const bool fault_of_pod =
      error.code == ErrorCode::kInvalid || error.code == ErrorCode::kNotFound ||
      error.code == ErrorCode::kForbidden || error.code == ErrorCode::kUnsupported;
  out.kind = fault_of_pod ? StartOutcome::Kind::kConfigError : StartOutcome::Kind::kCreateError;
  out.message = error.to_string();
  return out;
}

/// Devices are handed out in the pod's order: each container takes as many as it asks for. When
/// none asks (a share of a device is an annotation), all see them.
std::vector<AssignedDevice> devices_of(const PodSpec& pod, const ContainerSpec& container) {
  std::map<std::string, std::vector<AssignedDevice>> by_resource;
  for (const AssignedDevice& d : pod.devices) by_resource[d.resource].push_back(d);
  std::vector<AssignedDevice> own;
  for (const auto& [resource, devices] : by_resource) {
    size_t at = 0;
    bool asked = false;
    for (const auto* list : {&pod.init_containers, &pod.containers})
      for (const ContainerSpec& c : *list) {
        const auto wanted = c.extended.find(resource);
        if (wanted == c.extended.end() || wanted->second == 0) continue;
        asked = true;
        // Init containers are over before the others begin: they share the same devices.
        size_t from = c.init && !c.sidecar ? 0 : at;
        for (int64_t n = 0; n < wanted->second && from < devices.size(); ++n, ++from)
          if (c.name == container.name) own.push_back(devices[from]);
        if (!c.init || c.sidecar) at = from;
      }
    if (!asked) own.insert(own.end(), devices.begin(), devices.end());
  }
  return own;
}

bool uses_host_image(const PodSpec& pod) {
  return std::ranges::any_of(pod.containers,
                             [](const ContainerSpec& c) { return c.image == kHostImage; });
}

Time modified(const std::string& file, Time fallback) {
  struct stat status{};
  if (::stat(file.c_str(), &status) != 0) return fallback;
  return Time{status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
}

}  // namespace

/// What every container of the pod needs, once it is there.
struct PodHost::Prepared {
  PodAttachment network;
  PodInputs inputs;
  VolumePaths volumes;
  PodSurroundings around;
};

struct PodHost::PendingInputs {
  PodInputs found;
  size_t left = 0;
  std::optional<Error> error;
  std::function<void(Result<PodInputs>)> done;
};

std::string pod_cgroup(const std::string& root, QosClass qos, const std::string& uid) {
  switch (qos) {
    case QosClass::kGuaranteed:
      return fmt::format("{}/pod{}", root, uid);
    case QosClass::kBurstable:
      return fmt::format("{}/burstable/pod{}", root, uid);
    case QosClass::kBestEffort:
      return fmt::format("{}/besteffort/pod{}", root, uid);
  }
  return {};
}

PodHost::PodHost(NodeContext& context, PodSpec pod, PodState record,
                 std::function<void(const std::string&)> on_finished)
    : context_(context),
      spec_(std::make_shared<const PodSpec>(pod)),
      paths_(context.data_dir, pod.uid),
      machine_(
          pod, std::move(record),
          [&] {
            PodMachine::Options options;
            options.host_ip = context.surroundings.host_ip;
            return options;
          }(),
          *this),
      on_finished_(std::move(on_finished)) {}

std::string PodHost::cgroup() const {
  return pod_cgroup(context_.cgroup_root, spec_->qos, spec_->uid);
}

std::string PodHost::log_folder() const {
  return pod_log_folder(context_.data_dir, spec_->ns, spec_->name, spec_->uid);
}

int PodHost::pid_of(const std::string& container) const {
  const auto found = pids_.find(container);
  return found == pids_.end() ? 0 : found->second;
}

// ---- events in
// -----------------------------------------------------------------------------------

void PodHost::drive(const std::function<void(PodMachine&, Time)>& call) {
  call(machine_, context_.clock.now());
  flush();
}

void PodHost::flush() {
  const auto keep = shared_from_this();
  auto work = std::move(deferred_);
  deferred_.clear();
  for (const auto& item : work) item();
  if (timer_) context_.loop.cancel(*timer_);
  timer_.reset();
  if (const auto at = machine_.next_wake()) {
    const Duration delay = std::max(*at - context_.clock.now(), Duration{});
    timer_ = context_.loop.after(delay, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->timer_.reset();
      self->drive([](PodMachine& m, Time now) { m.on_wake(now); });
    });
  }
  finish_if_over();
}

template <class Job, class Then>
void PodHost::off_loop(WorkPool& pool, Job job, Then then) {
  // The pod itself must not be freed on a pool's thread: the loop takes the last reference.
  pool.run([self = shared_from_this(), &loop = context_.loop, job = std::move(job),
            then = std::move(then)]() mutable {
    auto result = job();
    loop.post([self = std::move(self), then = std::move(then),
               result = std::move(result)]() mutable { then(*self, std::move(result)); });
  });
}

void PodHost::admit() {
  const auto made = make_directories(paths_.root, 0711);
  const auto written =
      made ? write_file_atomically(paths_.object(), boost::json::serialize(spec_->source)) : made;
  if (!written) {
    refuse("UnexpectedAdmissionError", written.error().to_string());
    return;
  }
  drive([](PodMachine& m, Time now) { m.on_admitted(now); });
}

void PodHost::refuse(const std::string& reason, const std::string& message) {
  refused_ = true;
  drive([&](PodMachine& m, Time now) { m.on_refused(reason, message, now); });
}

void PodHost::update(PodSpec pod) {
  // Deletion and its grace must outlive a restart of Berth; so must what a resize changed. Status
  // alone, which comes back after each write of it, is no news.
  const bool news = pod.deleting != spec_->deleting ||
                    pod.deletion_grace != spec_->deletion_grace ||
                    pod.annotations != spec_->annotations || pod.labels != spec_->labels ||
                    *objects::find(pod.source, {"spec"}) != *objects::find(spec_->source, {"spec"});
  spec_ = std::make_shared<const PodSpec>(pod);
  if (news) (void)write_file_atomically(paths_.object(), boost::json::serialize(spec_->source));
  drive([&](PodMachine& m, Time now) { m.on_spec(std::move(pod), now); });
}

bool PodHost::ending() const {
  return spec_->deleting || !machine_.record().fail_reason.empty();
}

void PodHost::removed() {
  drive([](PodMachine& m, Time now) { m.on_removed(now); });
}

void PodHost::end(const std::string& reason, const std::string& message, Duration grace) {
  drive([&](PodMachine& m, Time now) { m.on_ended(reason, message, grace, now); });
}

void PodHost::exited(const std::string& container, int attempt, bool lost) {
  if (starting_.contains(container) && starting_[container] == attempt) {
    early_exits_[container] = lost;
    return;
  }
  const ContainerSpec* spec = spec_->find_container(container);
  if (spec == nullptr) return;
  pids_.erase(container);
  const std::string id = container_id(spec_->uid, container, attempt);
  const std::string file = context_.runtime.options().exit_dir + "/" + id;
  const std::string group = fmt::format("{}/{}-{}", cgroup(), container, attempt);
  const std::string log = container_log_path(log_folder(), container, attempt);
  off_loop(
      context_.work,
      [this, spec = spec_, container, attempt, lost, file, group, log] {
        ExitOutcome out;
        out.finished_at = modified(file, context_.clock.now());
        const auto code = read_integer(file);
        out.lost = lost || !code;
        out.exit_code = code ? static_cast<int>(*code) : 137;
        out.oom_killed = context_.cgroups.oom_kills(group).value_or(0) > 0;
        out.message = termination_message(*spec->find_container(container), paths_, log, attempt,
                                          out.exit_code);
        return out;
      },
      [container, attempt](PodHost& self, const ExitOutcome& out) {
        self.drive([&](PodMachine& m, Time now) { m.on_exited(container, attempt, out, now); });
      });
}

// ---- preparing the pod
// ---------------------------------------------------------------------------

void PodHost::prepare_pod() {
  deferred_.push_back([this] {
    fetch_inputs([this](Result<PodInputs> inputs) { prepare_with(std::move(inputs)); });
  });
}

void PodHost::fetch_inputs(std::function<void(Result<PodInputs>)> done) {
  const auto keys = referenced_inputs(*spec_);
  if (keys.empty()) return done(PodInputs{});
  auto pending = std::make_shared<PendingInputs>();
  pending->left = keys.size();
  pending->done = std::move(done);
  for (const InputKey& key : keys) {
    auto answer = [self = shared_from_this(), pending, key](Result<SharedJson> object) {
      self->context_.loop.post([self, pending, key, object = std::move(object)] {
        if (object)
          pending->found[key] = *object;
        else if (object.error().code == ErrorCode::kNotFound)
          pending->found[key] = nullptr;
        else
          pending->error = object.error();
        if (--pending->left > 0) return;
        if (pending->error)
          pending->done(std::unexpected(*pending->error));
        else
          pending->done(std::move(pending->found));
      });
    };
    if (key.kind == InputKey::Kind::kToken) {
      JsonObject spec = {
          {"expirationSeconds", key.expiration_seconds},
          {"boundObjectRef",
           JsonObject{
               {"apiVersion", "v1"}, {"kind", "Pod"}, {"name", spec_->name}, {"uid", spec_->uid}}}};
      if (!key.audience.empty()) spec["audiences"] = JsonArray{key.audience};
      context_.api.create({{"", "v1", "serviceaccounts"}, spec_->ns, key.name, "token"},
                          JsonObject{{"apiVersion", "authentication.k8s.io/v1"},
                                     {"kind", "TokenRequest"},
                                     {"spec", std::move(spec)}},
                          {}, std::move(answer));
      continue;
    }
    const char* plural = key.kind == InputKey::Kind::kSecret ? "secrets" : "configmaps";
    context_.api.get({{"", "v1", plural}, spec_->ns, key.name, {}}, std::move(answer));
  }
}

void PodHost::prepare_with(Result<PodInputs> inputs) {
  if (!inputs) {
    drive([&](PodMachine& m, Time now) {
      m.on_prepared(std::unexpected(inputs.error()), "FailedMount", now);
    });
    return;
  }
  struct Outcome {
    std::string event;
    Result<std::shared_ptr<const Prepared>> prepared;
  };
  PodNetworkRequest request;
  request.pod_uid = spec_->uid;
  request.pod_namespace = spec_->ns;
  request.pod_name = spec_->name;
  request.hostname = spec_->hostname;
  request.subdomain = spec_->subdomain;
  request.netns_name = pod_netns_name(spec_->uid);
  request.ingress_bandwidth = spec_->ingress_bandwidth;
  request.egress_bandwidth = spec_->egress_bandwidth;
  request.host_network = spec_->host_network;
  const auto work = [this, spec = spec_, request, inputs = *std::move(inputs),
                     group = cgroup()]() mutable -> Outcome {
    const auto refused = [](const char* event, Error error) {
      return Outcome{event, std::unexpected(std::move(error))};
    };
    auto made = std::make_shared<Prepared>();
    // The view of this machine's files grows old within seconds and takes longest to make: here it
    // is made anew while a CNI plugin runs. What goes wrong is said when the container asks for it.
    std::jthread host_image;
    if (uses_host_image(*spec))
      host_image = std::jthread(
          [this] { (void)context_.images.ensure_image(kHostImage, PullPolicy::kIfNotPresent); });
    auto network = context_.network.ensure_pod_network(request);
    if (!network) return refused("FailedCreatePodSandBox", network.error());
    made->network = *std::move(network);
    if (auto r = context_.cgroups.ensure(group); !r)
      return refused("FailedCreatePodContainer", r.error());
    CgroupLimits limits = pod_cgroup_limits(*spec, context_.pids_per_pod);
    if (!context_.host.weigh_io) limits.io_weight.reset();
    if (auto r = context_.cgroups.apply(group, limits); !r)
      return refused("FailedCreatePodContainer", r.error());
    if (auto r = ensure_pod_files(*spec, paths_, made->network); !r)
      return refused("FailedCreatePodSandBox", r.error());
    made->around = context_.surroundings;
    made->around.pod_ips = made->network.ips;
    made->inputs = std::move(inputs);
    auto volumes = ensure_volumes(*spec, paths_, made->inputs, made->around, context_.volumes);
    if (!volumes) return refused("FailedMount", volumes.error());
    made->volumes = *std::move(volumes);
    return Outcome{{}, std::shared_ptr<const Prepared>(std::move(made))};
  };
  off_loop(context_.work, work, [](PodHost& self, Outcome outcome) {
    if (outcome.prepared) self.prepared_ = *outcome.prepared;
    self.drive([&](PodMachine& m, Time now) {
      if (outcome.prepared)
        m.on_prepared((*outcome.prepared)->network.ips, {}, now);
      else
        m.on_prepared(std::unexpected(outcome.prepared.error()), outcome.event, now);
    });
  });
}

void PodHost::refresh_inputs() {
  if (!prepared_ || referenced_inputs(*spec_).empty()) return;
  fetch_inputs([this](Result<PodInputs> inputs) {
    if (!inputs || !prepared_) return;
    auto renewed = std::make_shared<Prepared>(*prepared_);
    renewed->inputs = *std::move(inputs);
    prepared_ = renewed;
    off_loop(
        context_.work,
        [this, spec = spec_, renewed] {
          return ensure_volumes(*spec, paths_, renewed->inputs, renewed->around, context_.volumes);
        },
        [](PodHost&, const Result<VolumePaths>&) {});
  });
}

// ---- containers
// ----------------------------------------------------------------------------------

void PodHost::pull_image(const std::string& container) {
  deferred_.push_back([this, container] {
    const ContainerSpec& spec = *spec_->find_container(container);
    const Time before = context_.clock.now();
    off_loop(
        context_.work,
        [this, image = spec.image, policy = spec.pull_policy] {
          return context_.images.ensure_image(image, policy);
        },
        [container, before](PodHost& self, Result<ImageHandle> handle) {
          self.drive([&](PodMachine& m, Time now) {
            if (!handle) return m.on_image(container, std::unexpected(handle.error()), now);
            const PodMachine::Image image{handle->reference, handle->digest, handle->pulled,
                                          now - before};
            self.images_[container] = *std::move(handle);
            m.on_image(container, image, now);
          });
        });
  });
}

void PodHost::start_container(const std::string& container, int attempt) {
  // The first one makes the process namespace that the others join.
  if (spec_->share_process_namespace && pids_.empty() && !starting_.empty()) {
    awaiting_namespace_.emplace_back(container, attempt);
    return;
  }
  starting_[container] = attempt;
  std::string pid_namespace;
  if (spec_->share_process_namespace && !pids_.empty())
    pid_namespace = fmt::format("/proc/{}/ns/pid", pids_.begin()->second);
  deferred_.push_back([this, container, attempt, pid_namespace] {
    struct Started {
      StartOutcome outcome;
      int pid = 0;
    };
    const auto work = [this, spec = spec_, prepared = prepared_, image = images_[container],
                       group = cgroup(), logs = log_folder(), container, attempt,
                       pid_namespace]() -> Started {
      const ContainerSpec& c = *spec->find_container(container);
      const auto edits = context_.devices.edits_for(devices_of(*spec, c));
      if (!edits) return {start_error(edits.error()), 0};
      const ContainerSetup setup{*spec,
                                 c,
                                 attempt,
                                 image,
                                 prepared->inputs,
                                 prepared->around,
                                 prepared->volumes,
                                 prepared->network,
                                 *edits,
                                 paths_,
                                 context_.host,
                                 group,
                                 logs,
                                 pid_namespace};
      const auto launch = prepare_container(setup);
      if (!launch) return {start_error(launch.error()), 0};
      const auto pid = context_.runtime.ensure_created(*launch);
      const auto started = pid ? context_.runtime.ensure_started(launch->id)
                               : Result<>(std::unexpected(pid.error()));
      StartOutcome out;
      out.started_at = context_.clock.now();
      if (started) return {out, *pid};
      out.kind = StartOutcome::Kind::kStartError;
      out.message = started.error().to_string();
      return {out, 0};
    };
    off_loop(context_.work, work, [container, attempt](PodHost& self, const Started& started) {
      if (started.pid > 0) self.pids_[container] = started.pid;
      self.starting_.erase(container);
      for (const auto& [other, number] : std::exchange(self.awaiting_namespace_, {}))
        self.start_container(other, number);
      if (started.outcome.kind == StartOutcome::Kind::kConfigError) self.refresh_inputs();
      self.drive(
          [&](PodMachine& m, Time now) { m.on_started(container, attempt, started.outcome, now); });
      const auto early = self.early_exits_.find(container);
      if (early == self.early_exits_.end()) return;
      const bool lost = early->second;
      self.early_exits_.erase(early);
      self.exited(container, attempt, lost);
    });
  });
}

void PodHost::signal_container(const std::string& container, int attempt, int number) {
  deferred_.push_back([this, container, attempt, number] {
    const std::string id = container_id(spec_->uid, container, attempt);
    off_loop(
        context_.work,
        [this, id, number, drain = ending(), uid = spec_->uid] {
          // Services stop sending before the process stops listening.
          if (drain && number != SIGKILL) (void)context_.network.drain(uid);
          return context_.runtime.signal(id, number);
        },
        [](PodHost&, const Result<>&) {});
  });
}

void PodHost::force_remove(const std::string& container, int attempt) {
  deferred_.push_back([this, container, attempt] {
    const std::string id = container_id(spec_->uid, container, attempt);
    off_loop(
        context_.work, [this, id] { return context_.runtime.remove(id); },
        [container, attempt](PodHost& self, const Result<>& removed) {
          if (removed) self.exited(container, attempt, true);
        });
  });
}

void PodHost::discard(const std::string& container, int attempt) {
  deferred_.push_back([this, container, attempt] {
    const std::string id = container_id(spec_->uid, container, attempt);
    off_loop(
        context_.work,
        [this, id, container, attempt]() -> Result<> {
          BERTH_CHECK(context_.runtime.remove(id));
          return discard_container(paths_, container, attempt);
        },
        [](PodHost&, const Result<>&) {});
  });
}

ProbeTarget PodHost::target(const std::string& container, int attempt) const {
  ProbeTarget out;
  out.container_id = container_id(spec_->uid, container, attempt);
  const auto& ips = machine_.record().ips;
  if (!ips.empty()) out.address = ips.front();
  return out;
}

void PodHost::run_probe(const std::string& container, int attempt, ProbeKind kind) {
  deferred_.push_back([this, container, attempt, kind] {
    const ContainerSpec& spec = *spec_->find_container(container);
    const auto& probe = kind == ProbeKind::kStartup     ? spec.startup
                        : kind == ProbeKind::kReadiness ? spec.readiness
                                                        : spec.liveness;
    if (!probe) return;
    off_loop(
        context_.probes,
        [this, probe = *probe, at = target(container, attempt)] {
          return run_handler(context_.runtime, probe.handler, at, probe.timeout);
        },
        [container, attempt, kind](PodHost& self, const Result<>& answer) {
          self.drive([&](PodMachine& m, Time now) {
            m.on_probe(container, attempt, kind, answer.has_value(),
                       answer ? std::string() : answer.error().what, now);
          });
        });
  });
}

void PodHost::run_hook(const std::string& container, int attempt, HookKind kind, Duration limit) {
  deferred_.push_back([this, container, attempt, kind, limit] {
    const ContainerSpec& spec = *spec_->find_container(container);
    const auto& hook = kind == HookKind::kPostStart ? spec.post_start : spec.pre_stop;
    const auto answered = [container, attempt, kind](PodHost& self, const Result<>& outcome) {
      self.drive(
          [&](PodMachine& m, Time now) { m.on_hook(container, attempt, kind, outcome, now); });
    };
    if (!hook) return;
    if (hook->kind == Handler::Kind::kSleep) {
      // A timer, not a thread that sleeps.
      context_.loop.after(std::min(hook->sleep, limit), [weak = weak_from_this(), answered] {
        if (const auto self = weak.lock()) answered(*self, {});
      });
      return;
    }
    off_loop(
        context_.probes,
        [this, hook = *hook, limit, at = target(container, attempt),
         drain = kind == HookKind::kPreStop && ending(), uid = spec_->uid] {
          if (drain) (void)context_.network.drain(uid);
          return run_handler(context_.runtime, hook, at, limit);
        },
        answered);
  });
}

void PodHost::resize(const std::string& container, int attempt, const ContainerSpec& wanted) {
  CgroupLimits limits = container_cgroup_limits(wanted);
  if (!limits.cpu_quota_us) limits.cpu_quota_us = -1;
  if (!limits.memory_bytes) limits.memory_bytes = -1;
  deferred_.push_back([this, container, attempt, limits] {
    const std::string group = cgroup();
    const auto work = [this, spec = spec_, group, container, attempt, limits]() -> Result<> {
      CgroupLimits pod = pod_cgroup_limits(*spec, context_.pids_per_pod);
      pod.io_weight.reset();
      const std::string own = fmt::format("{}/{}-{}", group, container, attempt);
      // Growing, the pod must come first; shrinking, it must come last. Either order of two tries
      // is safe, so the one that works is kept.
      const auto pod_first = context_.cgroups.apply(group, pod);
      BERTH_CHECK(context_.cgroups.apply(own, limits));
      return pod_first ? Result<>{} : context_.cgroups.apply(group, pod);
    };
    off_loop(context_.work, work, [container, attempt](PodHost& self, const Result<>& outcome) {
      self.drive([&](PodMachine& m, Time now) { m.on_resized(container, attempt, outcome, now); });
    });
  });
}

// ---- the end
// -------------------------------------------------------------------------------------

void PodHost::tear_down() {
  deferred_.push_back([this] {
    const auto work = [this, spec = spec_, group = cgroup()]() -> Result<> {
      Result<> outcome;
      const auto note = [&](Result<> step) {
        if (!step) outcome = std::move(step);
      };
      for (const auto* list : {&spec->init_containers, &spec->containers})
        for (const ContainerSpec& c : *list)
          for (const int attempt : attempts_on_disk(paths_.container(c.name)))
            note(context_.runtime.remove(container_id(spec->uid, c.name, attempt)));
      note(context_.network.release(spec->uid));
      note(unmount_below(paths_.root));
      note(context_.cgroups.remove(group));
      for (const char* part : {"/containers", "/volumes", "/ns", "/shm"})
        note(remove_tree(paths_.root + part));
      return outcome;
    };
    off_loop(context_.work, work, [](PodHost& self, const Result<>& outcome) {
      if (outcome) {
        self.prepared_.reset();
        self.drive([](PodMachine& m, Time now) { m.on_torn_down(now); });
        return;
      }
      // Something is still busy: what holds it goes, so it is tried again until it works.
      self.record_event(true, {}, "FailedKillPod", outcome.error().to_string());
      self.flush();
      self.context_.loop.after(Duration::seconds(2), [weak = self.weak_from_this()] {
        const auto again = weak.lock();
        if (!again) return;
        again->tear_down();
        again->flush();
      });
    });
  });
}

void PodHost::delete_object() {
  deferred_.push_back([this] {
    client::DeleteOptions options;
    options.grace = Duration{};
    options.precondition_uid = spec_->uid;
    context_.api.remove(
        {kPods, spec_->ns, spec_->name, {}}, options,
        [weak = weak_from_this(), &loop = context_.loop](const Result<SharedJson>& answer) {
          const bool gone = answer || answer.error().code == ErrorCode::kNotFound ||
                            answer.error().code == ErrorCode::kConflict;
          loop.post([weak, gone] {
            const auto self = weak.lock();
            if (!self || gone) return;
            self->context_.loop.after(kStatusRetry, [weak] {
              if (const auto again = weak.lock()) {
                again->delete_object();
                again->flush();
              }
            });
          });
        });
  });
}

void PodHost::finish_if_over() {
  if (finished_ || !machine_.finished()) return;
  finished_ = true;
  off_loop(
      context_.work,
      [this, logs = log_folder()]() -> Result<> {
        BERTH_CHECK(remove_tree(paths_.root));
        return remove_tree(logs);
      },
      [](PodHost& self, const Result<>&) { self.on_finished_(self.spec_->uid); });
}

// ---- what is shown and kept
// ----------------------------------------------------------------------

void PodHost::persist(Json record) {
  // It has no folder, and nothing that a later start would have to know.
  if (refused_) return;
  const auto written = write_file_atomically(paths_.state(), boost::json::serialize(record));
  if (!written) record_event(true, {}, "FailedToKeepState", written.error().to_string());
}

void PodHost::publish(Json status) {
  unsent_ = std::move(status);
  deferred_.push_back([this] { send_status(); });
}

void PodHost::send_status() {
  if (sending_ || !unsent_) return;
  sending_ = true;
  JsonObject patch = {{"metadata", JsonObject{{"uid", spec_->uid}}}, {"status", *unsent_}};
  unsent_.reset();
  context_.api.patch(
      {kPods, spec_->ns, spec_->name, "status"}, client::PatchType::kStrategicMerge,
      std::move(patch), {},
      [weak = weak_from_this(), &loop = context_.loop](const Result<SharedJson>& answer) {
        // Gone or replaced by another pod of the name: nothing to tell any more.
        const bool settled = answer || answer.error().code == ErrorCode::kNotFound ||
                             answer.error().code == ErrorCode::kConflict ||
                             answer.error().code == ErrorCode::kInvalid;
        loop.post([weak, settled] {
          const auto self = weak.lock();
          if (!self) return;
          self->sending_ = false;
          if (settled) return self->send_status();
          if (!self->unsent_) self->unsent_ = self->machine_.status();
          self->context_.loop.after(kStatusRetry, [weak] {
            if (const auto again = weak.lock()) again->send_status();
          });
        });
      });
}

void PodHost::record_event(bool warning, const std::string& container, const std::string& reason,
                           const std::string& message) {
  EventRecorder::About about;
  about.ns = spec_->ns;
  about.name = spec_->name;
  about.uid = spec_->uid;
  about.container = container;
  deferred_.push_back([this, about, warning, reason, message] {
    context_.events.record(about, warning, reason, message);
  });
}

}  // namespace berth::node
