#include "node/pod/host/pod_host.h"

#include <algorithm>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "node/files.h"

namespace berth::node {
namespace {

constexpr Duration kDrainPoll = Duration::milliseconds(200);
constexpr Duration kDrainTimeout = Duration::seconds(5);

}  // namespace

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
      on_finished_(std::move(on_finished)),
      reporter_(std::make_shared<PodReporter>(context.api, context.loop, pod)) {}

std::string PodHost::log_folder() const {
  return pod_log_folder(context_.data_dir, spec_->ns, spec_->name, spec_->uid);
}

int PodHost::pid_of(const std::string& container) const {
  const auto found = pids_.find(container);
  return found == pids_.end() ? 0 : found->second;
}

// ---- events in ----------------------------------------------------------------------------------

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
void PodHost::off_loop(WorkPool& pool, Job job, Then then, WorkPool::Turn turn) {
  // The pod itself must not be freed on a pool's thread: the loop takes the last reference.
  pool.run(
      [self = shared_from_this(), &loop = context_.loop, job = std::move(job),
       then = std::move(then)]() mutable {
        auto result = job();
        loop.post([self = std::move(self), then = std::move(then),
                   result = std::move(result)]() mutable { then(*self, std::move(result)); });
      },
      turn);
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

bool PodHost::knows(const Json& object) const {
  return updated_ && !is_news(object);
}

bool PodHost::is_news(const Json& object) const {
  const auto same = [&](std::initializer_list<std::string_view> path) {
    const Json* now = objects::find(object, path);
    const Json* before = objects::find(spec_->source, path);
    return now == nullptr || before == nullptr ? now == before : *now == *before;
  };
  return !same({"metadata", "deletionTimestamp"}) ||
         !same({"metadata", "deletionGracePeriodSeconds"}) || !same({"metadata", "labels"}) ||
         !same({"metadata", "annotations"}) || !same({"spec"}) ||
         (objects::find(object, {"spec", "readinessGates"}) != nullptr &&
          !same({"status", "conditions"}));
}

void PodHost::update(PodSpec pod) {
  const bool news = is_news(pod.source);
  updated_ = true;
  spec_ = std::make_shared<const PodSpec>(pod);
  // Deletion and its grace must outlive a restart of Berth; so must what a resize changed.
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

void PodHost::exited(const std::string& container, int attempt, bool monitor_gone) {
  if (starting_.contains(container) && starting_[container] == attempt) {
    early_exits_[container] = monitor_gone;
    return;
  }
  if (spec_->find_container(container) == nullptr) return;
  off_loop(
      context_.work,
      [this, spec = spec_, run = RunOfContainer{container, attempt}, monitor_gone] {
        return read_exit(context_, *spec, paths_, run, monitor_gone);
      },
      [container, attempt](PodHost& self, const std::optional<ExitOutcome>& out) {
        // The file was that of a run that has been removed since: what runs now has none.
        if (!out) return;
        self.pids_.erase(container);
        self.drive([&](PodMachine& m, Time now) { m.on_exited(container, attempt, *out, now); });
      });
}

// ---- preparing the pod --------------------------------------------------------------------------

void PodHost::prepare_pod() {
  deferred_.push_back([this] {
    fetch_inputs(context_.api, context_.loop, *spec_,
                 [self = shared_from_this()](Result<PodInputs> inputs) {
                   self->prepare_with(std::move(inputs));
                 });
  });
}

void PodHost::prepare_with(Result<PodInputs> inputs) {
  if (!inputs) {
    drive([&](PodMachine& m, Time now) {
      m.on_prepared(std::unexpected(inputs.error()), "FailedMount", now);
    });
    return;
  }
  off_loop(
      context_.work,
      [this, spec = spec_, inputs = *std::move(inputs)]() mutable {
        return node::prepare_pod(context_, *spec, paths_, std::move(inputs));
      },
      [](PodHost& self, PrepareOutcome outcome) {
        if (outcome.prepared) self.prepared_ = *outcome.prepared;
        self.drive([&](PodMachine& m, Time now) {
          if (outcome.prepared)
            m.on_prepared((*outcome.prepared)->network.ips, {}, now);
          else
            m.on_prepared(std::unexpected(outcome.prepared.error()), outcome.event, now);
        });
      },
      WorkPool::Turn::kBegins);
}

void PodHost::refresh_inputs() {
  if (!prepared_ || referenced_inputs(*spec_).empty()) return;
  const auto renew = [self = shared_from_this()](Result<PodInputs> inputs) {
    if (!inputs || !self->prepared_) return;
    auto renewed = std::make_shared<PreparedPod>(*self->prepared_);
    renewed->inputs = *std::move(inputs);
    self->prepared_ = renewed;
    self->off_loop(
        self->context_.work,
        [&context = self->context_, paths = self->paths_, spec = self->spec_, renewed] {
          return ensure_volumes(*spec, paths, renewed->inputs, renewed->around, context.volumes);
        },
        [](PodHost&, const Result<VolumePaths>&) {});
  };
  fetch_inputs(context_.api, context_.loop, *spec_, renew);
}

// ---- containers ---------------------------------------------------------------------------------

void PodHost::pull_image(const std::string& container) {
  deferred_.push_back([this, container] {
    const ContainerSpec& spec = *spec_->find_container(container);
    const Time before = context_.clock.now();
    off_loop(
        context_.work,
        [this, request = ImageRequest{spec.image, spec.pull_policy,
                                      registry_auths(*spec_, prepared_->inputs)}] {
          return context_.images.ensure_image(request);
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
    const auto work = [this, spec = spec_, prepared = prepared_, image = images_[container],
                       run = RunOfContainer{container, attempt}, pid_namespace] {
      return node::start_container(context_, *spec, paths_, *prepared, image, run, pid_namespace);
    };
    off_loop(context_.work, work,
             [container, attempt](PodHost& self, const StartedContainer& started) {
               if (started.pid > 0) self.pids_[container] = started.pid;
               self.starting_.erase(container);
               for (const auto& [other, number] : std::exchange(self.awaiting_namespace_, {}))
                 self.start_container(other, number);
               if (started.outcome.kind == StartOutcome::Kind::kConfigError) self.refresh_inputs();
               self.drive([&](PodMachine& m, Time now) {
                 m.on_started(container, attempt, started.outcome, now);
               });
               const auto early = self.early_exits_.find(container);
               if (early == self.early_exits_.end()) return;
               const bool monitor_gone = early->second;
               self.early_exits_.erase(early);
               self.exited(container, attempt, monitor_gone);
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
    if (hook->kind == Handler::Kind::kDrain) {
      context_.loop.after(std::min(hook->sleep, limit),
                          [weak = weak_from_this(), hook = *hook, at = target(container, attempt),
                           until = context_.clock.now() + limit, answered] {
                            if (const auto self = weak.lock())
                              self->drain(hook, at, until, answered);
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

void PodHost::drain(const Handler& hook, const ProbeTarget& at, Time until,
                    std::function<void(PodHost&, const Result<>&)> drained) {
  off_loop(
      context_.probes,
      [this, hook, at] { return run_handler(context_.runtime, hook, at, kDrainTimeout); },
      [hook, at, until, drained = std::move(drained)](PodHost& self, const Result<>& empty) {
        if (empty || self.context_.clock.now() >= until) return drained(self, {});
        self.context_.loop.after(kDrainPoll,
                                 [weak = self.weak_from_this(), hook, at, until, drained] {
                                   if (const auto host = weak.lock())
                                     host->drain(hook, at, until, drained);
                                 });
      });
}

void PodHost::resize(const std::string& container, int attempt, const ContainerSpec& wanted) {
  CgroupLimits limits = container_cgroup_limits(wanted);
  if (!limits.cpu_quota_us) limits.cpu_quota_us = -1;
  if (!limits.memory_bytes) limits.memory_bytes = -1;
  deferred_.push_back([this, container, attempt, limits] {
    const auto work = [this, spec = spec_, run = RunOfContainer{container, attempt}, limits] {
      return resize_container(context_, *spec, run, limits);
    };
    off_loop(context_.work, work, [container, attempt](PodHost& self, const Result<>& outcome) {
      self.drive([&](PodMachine& m, Time now) { m.on_resized(container, attempt, outcome, now); });
    });
  });
}

// ---- the end ------------------------------------------------------------------------------------

void PodHost::tear_down() {
  deferred_.push_back([this] {
    const auto work = [this, spec = spec_] { return tear_down_pod(context_, *spec, paths_); };
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
  deferred_.push_back([this] { reporter_->delete_object(); });
}

void PodHost::finish_if_over() {
  if (finished_ || !machine_.finished()) return;
  finished_ = true;
  off_loop(
      context_.work,
      [this, logs = log_folder()]() -> Result<> {
        // The folder goes last, so that a crash before that comes back to this; the object in it
        // goes first, so that what is left of the folder is not taken for a pod.
        BERTH_CHECK(remove_tree(logs));
        ::unlink(paths_.object().c_str());
        return remove_tree(paths_.root);
      },
      [](PodHost& self, const Result<>&) { self.on_finished_(self.spec_->uid); });
}

// ---- what is shown and kept ---------------------------------------------------------------------

void PodHost::persist(Json record) {
  // It has no folder, and nothing that a later start would have to know.
  if (refused_) return;
  const auto written = rewrite_record(paths_.state(), boost::json::serialize(record));
  if (!written) record_event(true, {}, "FailedToKeepState", written.error().to_string());
}

void PodHost::publish(Json status) {
  deferred_.push_back(
      [this, status = std::move(status)]() mutable { reporter_->publish(std::move(status)); });
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
