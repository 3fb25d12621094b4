#include "node/pod/pod_machine.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <signal.h>

#include "node/pod/pod_status.h"

namespace berth::node {
namespace {

/// SIGTERM gets at least this long after a hook that used up the grace, as the kubelet gives.
constexpr Duration kLeastGrace = Duration::seconds(2);
constexpr Duration kConfigRetry = Duration::seconds(10);
constexpr Duration kLongestHook = Duration::hours(1);

int stop_signal_of(const ContainerSpec& spec) {
  static constexpr std::array<std::pair<std::string_view, int>, 12> kSignals = {
      {{"SIGTERM", SIGTERM},
       {"SIGINT", SIGINT},
       {"SIGQUIT", SIGQUIT},
       {"SIGHUP", SIGHUP},
       {"SIGUSR1", SIGUSR1},
       {"SIGUSR2", SIGUSR2},
       {"SIGKILL", SIGKILL},
       {"SIGABRT", SIGABRT},
       {"SIGALRM", SIGALRM},
       {"SIGWINCH", SIGWINCH},
       {"SIGCONT", SIGCONT},
       {"SIGPWR", SIGPWR}}};
  for (const auto& [name, number] : kSignals)
    if (spec.stop_signal == name || "SIG" + spec.stop_signal == name) return number;
  return SIGTERM;
}

bool alive(const ContainerRecord& c) {
  return c.stage == Stage::kStarting || c.stage == Stage::kRunning || c.stage == Stage::kStopping;
}

std::string_view word(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::kStartup:
      return "Startup";
    case ProbeKind::kReadiness:
      return "Readiness";
    case ProbeKind::kLiveness:
      return "Liveness";
  }
  return "";
}

}  // namespace

PodMachine::PodMachine(PodSpec pod, PodState record, Options options, PodActions& actions)
    : pod_(std::move(pod)),
      record_(std::move(record)),
      options_(std::move(options)),
      actions_(actions),
      deleting_(pod_.deleting) {}

// ---- events ------------------------------------------------------------------------------------

void PodMachine::on_admitted(Time now) {
  admitted_ = true;
  final_ = record_.ended;
  for (auto* list : {&record_.init, &record_.regular})
    for (ContainerRecord& c : *list)
      if (c.stage == Stage::kPulling) c.stage = Stage::kWaiting;
  if (stopping()) stop_everything(deleting_ ? pod_.deletion_grace : pod_.termination_grace, now);
  step(now);
}

void PodMachine::on_refused(const std::string& reason, const std::string& message, Time now) {
  admitted_ = true;
  record_.fail_reason = reason;
  record_.fail_message = message;
  actions_.record_event(true, {}, reason, message);
  step(now);
}

void PodMachine::on_spec(PodSpec pod, Time now) {
  const bool newly_deleting = pod.deleting && !deleting_;
  const bool shorter = pod.deleting && deleting_ && pod.deletion_grace < pod_.deletion_grace;
  pod_ = std::move(pod);
  if (newly_deleting || shorter) {
    deleting_ = true;
    stop_everything(pod_.deletion_grace, now);
  }
  if (!stopping())
    for (auto* list : {&record_.init, &record_.regular})
      for (ContainerRecord& c : *list) {
        const ContainerSpec& spec = spec_of(c);
        const auto differ = [](const ResourceAmounts& a, const ResourceAmounts& b) {
          return a.cpu_milli != b.cpu_milli || a.memory_bytes != b.memory_bytes;
        };
        if (!differ(spec.requests, c.requests) && !differ(spec.limits, c.limits)) continue;
        if (c.stage == Stage::kRunning)
          actions_.resize(c.name, c.attempt, spec);
        else if (!alive(c))
          c.requests = spec.requests, c.limits = spec.limits;
      }
  step(now);
}

void PodMachine::on_removed(Time now) {
  if (removed_) return;
  removed_ = true;
  stop_everything(Duration{}, now);
  step(now);
}

void PodMachine::on_prepared(const Result<std::vector<std::string>>& ips, const std::string& event,
                             Time now) {
  preparing_ = false;
  if (ips) {
    prepared_ = true;
    record_.prepared = true;
    record_.ips = *ips;
  } else if (!stopping()) {
    prepare_backoff_ =
        std::clamp(prepare_backoff_ * 2, Duration::seconds(1), Duration::seconds(60));
    prepare_at_ = now + prepare_backoff_;
    actions_.record_event(true, {}, event, ips.error().to_string());
    for (auto* list : {&record_.init, &record_.regular})
      for (ContainerRecord& c : *list)
        if (c.stage == Stage::kWaiting) c.waiting_message = ips.error().to_string();
  }
  step(now);
}

void PodMachine::on_image(const std::string& container, const Result<Image>& image, Time now) {
  ContainerRecord* c = record_.find(container);
  if (c == nullptr || c->stage != Stage::kPulling) return;
  c->stage = Stage::kWaiting;
  if (stopping()) return step(now);
  if (image) {
    c->image_id = image->digest;
    if (!c->last) c->backoff = Duration{};
    if (image->pulled)
      actions_.record_event(
          false, container, "Pulled",
          fmt::format("Successfully pulled image \"{}\" in {}", spec_of(*c).image,
                      format_duration(Duration::milliseconds(image->took.to_milliseconds()))));
    else
      actions_.record_event(
          false, container, "Pulled",
          fmt::format("Container image \"{}\" already present on machine", spec_of(*c).image));
    c->stage = Stage::kStarting;
    // The attempt is on disk before anything of it exists: a crash finds it by its name.
    c->requests = spec_of(*c).requests;
    c->limits = spec_of(*c).limits;
    show(now);
    actions_.start_container(c->name, c->attempt);
    return step(now);
  }
  const Error& error = image.error();
  const PullPolicy policy = spec_of(*c).pull_policy;
  const char* reason = "ErrImagePull";
  if (error.code == ErrorCode::kNotFound && policy == PullPolicy::kNever)
    reason = "ErrImageNeverPull";
  if (error.code == ErrorCode::kInvalid) reason = "InvalidImageName";
  wait(*c, reason, error.to_string());
  actions_.record_event(
      true, container, "Failed",
      fmt::format("Failed to pull image \"{}\": {}", spec_of(*c).image, error.to_string()));
  schedule_retry(*c, now);
  show(now);
  if (c->waiting_reason == "ErrImagePull")
    wait(*c, "ImagePullBackOff",
         fmt::format("Back-off pulling image \"{}\": {}", spec_of(*c).image, error.to_string()));
  step(now);
}

void PodMachine::on_started(const std::string& container, int attempt, const StartOutcome& outcome,
                            Time now) {
  ContainerRecord* c = current(container, attempt);
  if (c == nullptr || !alive(*c)) return;
  const ContainerSpec& spec = spec_of(*c);
  switch (outcome.kind) {
    case StartOutcome::Kind::kRunning:
      actions_.record_event(false, container, "Created",
                            fmt::format("Created container: {}", container));
      actions_.record_event(false, container, "Started",
                            fmt::format("Started container {}", container));
      c->started_at = outcome.started_at;
      if (c->stage == Stage::kStopping)
        live(*c).term_sent = false;  // the first one came too early to be received
      else
        became_running(spec, *c);
      break;
    case StartOutcome::Kind::kConfigError:
    case StartOutcome::Kind::kCreateError: {
      const bool config = outcome.kind == StartOutcome::Kind::kConfigError;
      actions_.record_event(true, container, "Failed", "Error: " + outcome.message);
      c->stage = Stage::kWaiting;
      wait(*c, config ? "CreateContainerConfigError" : "CreateContainerError", outcome.message);
      c->retry_at = now + kConfigRetry;
      break;
    }
    case StartOutcome::Kind::kStartError: {
      actions_.record_event(true, container, "Failed", "Error: " + outcome.message);
      Termination how;
      how.exit_code = 128;
      how.reason = "StartError";
      how.message = outcome.message;
      how.finished_at = now;
      ended(spec, *c, std::move(how), now);
      break;
    }
  }
  step(now);
}

void PodMachine::on_exited(const std::string& container, int attempt, const ExitOutcome& outcome,
                           Time now) {
  ContainerRecord* c = current(container, attempt);
  if (c == nullptr || !alive(*c)) return;
  Termination how;
  how.exit_code = outcome.exit_code;
  how.message = outcome.message;
  how.started_at = c->started_at;
  how.finished_at = outcome.finished_at;
  if (outcome.lost)
    how.reason = "ContainerStatusUnknown";
  else if (outcome.oom_killed && outcome.exit_code != 0)
    how.reason = "OOMKilled";
  else
    how.reason = outcome.exit_code == 0 ? "Completed" : "Error";
  ended(spec_of(*c), *c, std::move(how), now);
  step(now);
}

void PodMachine::on_probe(const std::string& container, int attempt, ProbeKind kind, bool success,
                          const std::string& message, Time now) {
  ContainerRecord* c = current(container, attempt);
  if (c == nullptr || c->stage != Stage::kRunning) return;
  Live& l = live(*c);
  auto& tracker = kind == ProbeKind::kStartup     ? l.startup
                  : kind == ProbeKind::kReadiness ? l.readiness
                                                  : l.liveness;
  if (!tracker) return;
  const bool changed = tracker->answer(success, now);
  if (!success)
    actions_.record_event(true, container, "Unhealthy",
                          fmt::format("{} probe failed: {}", word(kind), message));
  const bool failed = tracker->verdict() == ProbeTracker::Verdict::kFailure;
  const ContainerSpec& spec = spec_of(*c);
  if (changed && kind == ProbeKind::kStartup && !failed) {
    became_started(spec, *c);
  } else if (kind == ProbeKind::kReadiness) {
    c->ready = tracker->verdict() == ProbeTracker::Verdict::kSuccess;
  } else if (changed && failed) {
    const Probe& probe = tracker->probe();
    stop_container(spec, *c, probe.grace.value_or(pod_.termination_grace),
                   fmt::format("Container {} failed {} probe, will be restarted", c->name,
                               kind == ProbeKind::kStartup ? "startup" : "liveness"),
                   now);
  }
  step(now);
}

void PodMachine::on_hook(const std::string& container, int attempt, HookKind kind,
                         const Result<>& outcome, Time now) {
  ContainerRecord* c = current(container, attempt);
  if (c == nullptr || !alive(*c)) return;
  Live& l = live(*c);
  const ContainerSpec& spec = spec_of(*c);
  if (kind == HookKind::kPreStop) {
    l.pre_stop_pending = false;
    if (!outcome)
      actions_.record_event(true, container, "FailedPreStopHook", outcome.error().to_string());
    if (l.kill_at) l.kill_at = std::max(*l.kill_at, now + kLeastGrace);
  } else if (l.hook_pending) {
    l.hook_pending = false;
    if (!outcome) {
      actions_.record_event(true, container, "FailedPostStartHook", outcome.error().to_string());
      if (c->stage == Stage::kRunning)
        stop_container(spec, *c, pod_.termination_grace, "FailedPostStartHook", now);
    } else if (c->stage == Stage::kRunning) {
      begin_probing(spec, *c);
    }
  }
  step(now);
}

void PodMachine::on_resized(const std::string& container, int attempt, const Result<>& outcome,
                            Time now) {
  ContainerRecord* c = current(container, attempt);
  if (c == nullptr) return;
  if (outcome) {
    c->requests = spec_of(*c).requests;
    c->limits = spec_of(*c).limits;
    actions_.record_event(false, container, "Resized",
                          fmt::format("Resized container {} in place", container));
  } else {
    actions_.record_event(true, container, "FailedResize", outcome.error().to_string());
  }
  step(now);
}

void PodMachine::on_ended(const std::string& reason, const std::string& message, Duration grace,
                          Time now) {
  if (stopping()) return;
  record_.fail_reason = reason;
  record_.fail_message = message;
  actions_.record_event(true, {}, reason, message);
  stop_everything(grace, now);
  step(now);
}

void PodMachine::on_torn_down(Time now) {
  torn_down_ = true;
  step(now);
}

void PodMachine::on_wake(Time now) {
  step(now);
}

void PodMachine::on_recovered_running(const std::string& container, int attempt, Time started_at) {
  ContainerRecord* c = current(container, attempt);
  if (c == nullptr || !alive(*c)) return;
  if (c->stage == Stage::kStarting) c->started_at = started_at;
  // How far a stop had come is not known: what asked for it asks again.
  c->stage = Stage::kRunning;
  live(*c) = {};
  const ContainerSpec& spec = spec_of(*c);
  const bool was_ready = c->ready;
  // A hook that was cut off is not run twice.
  if (spec.startup && !c->started) return begin_probing(spec, *c);
  became_started(spec, *c);
  c->ready = was_ready || !spec.readiness;
}

void PodMachine::on_recovered_absent(const std::string& container, int attempt) {
  ContainerRecord* c = current(container, attempt);
  if (c != nullptr && alive(*c)) c->stage = Stage::kWaiting;
}

// ---- the step: what follows from where things are
// ------------------------------------------------

void PodMachine::step(Time now) {
  if (!admitted_) return;
  wake_.reset();
  // 1. Does it have to end?
  if (pod_.active_deadline && !stopping()) {
    const Time deadline = record_.start_time + *pod_.active_deadline;
    if (now >= deadline) {
      record_.fail_reason = "DeadlineExceeded";
      record_.fail_message = "Pod was active on the node longer than the specified deadline";
      actions_.record_event(false, {}, "DeadlineExceeded", record_.fail_message);
      stop_everything(pod_.termination_grace, now);
    } else {
      wake(deadline);
    }
  }
  // 2. Ending: see everything out, then give back what it held.
  if (stopping()) {
    step_stopping(now);
  } else if (!prepared_) {
    // 3. What containers need first; their images can come at the same time.
    if (!preparing_ && (!prepare_at_ || now >= *prepare_at_)) {
      preparing_ = true;
      prepare_at_.reset();
      actions_.prepare_pod();
    } else if (prepare_at_) {
      wake(*prepare_at_);
    }
  } else {
    // 4. Init containers one by one; then all others at once.
    step_init(now);
  }
  show(now);
}

void PodMachine::step_stopping(Time now) {
  for (auto* list : {&record_.init, &record_.regular})
    for (ContainerRecord& c : *list)
      if (alive(c)) step_kill(c, now);
  if (anything_runs() || preparing_) return;
  if (!record_.ended) {
    record_.ended = true;
    for (auto* list : {&record_.init, &record_.regular})
      for (ContainerRecord& c : *list) c.ready = c.started = false;
  }
  if (!tearing_down_) {
    tearing_down_ = true;
    show(now);
    actions_.tear_down();
    return;
  }
  if (torn_down_ && deleting_ && !removed_ && !deletion_asked_) {
    deletion_asked_ = true;
    show(now);
    actions_.delete_object();
  }
}

void PodMachine::step_init(Time now) {
  for (size_t i = 0; i < record_.init.size(); ++i) {
    const ContainerSpec& spec = pod_.init_containers[i];
    ContainerRecord& c = record_.init[i];
    if (spec.sidecar) {
      run_when_due(spec, c, now);
      if (!c.started && !c.last) return;  // what follows waits for its first start
      continue;
    }
    if (c.stage == Stage::kExited && c.ended && c.ended->exit_code == 0) continue;
    // Once the others run, a finished init container is history, whatever the record lost.
    run_when_due(spec, c, now);
    if (c.stage == Stage::kExited && !restarts(pod_, spec, *c.ended)) begin_end(now);
    return;
  }
  step_regular(now);
}

void PodMachine::step_regular(Time now) {
  bool over = true;
  for (size_t i = 0; i < record_.regular.size(); ++i) {
    ContainerRecord& c = record_.regular[i];
    run_when_due(pod_.containers[i], c, now);
    over &= c.stage == Stage::kExited && !restarts(pod_, pod_.containers[i], *c.ended);
  }
  if (over) begin_end(now);
}

/// Every container that counts has ended for good: stop sidecars, then tear down.
void PodMachine::begin_end(Time now) {
  final_ = true;
  stop_everything(pod_.termination_grace, now);
  step_stopping(now);
}

/// Brings one container closer to running, as far as its back-off allows.
void PodMachine::run_when_due(const ContainerSpec& spec, ContainerRecord& c, Time now) {
  switch (c.stage) {
    case Stage::kExited:
      if (!restarts(pod_, spec, *c.ended)) return;
      // A new attempt. While it waits, the state is CrashLoopBackOff as long as there is a wait.
      c.last = c.ended;
      c.ended.reset();
      actions_.discard(c.name, c.attempt);
      c.stage = Stage::kWaiting;
      if (c.retry_at > now) {
        wait(c, "CrashLoopBackOff",
             fmt::format("back-off {} restarting failed container={} pod={}_{}({})",
                         format_duration(c.retry_at - c.last->finished_at), c.name, pod_.name,
                         pod_.ns, pod_.uid));
        actions_.record_event(
            true, c.name, "BackOff",
            fmt::format("Back-off restarting failed container {} in pod {}_{}({})", c.name,
                        pod_.name, pod_.ns, pod_.uid));
      }
      [[fallthrough]];
    case Stage::kWaiting:
      if (now < c.retry_at) return wake(c.retry_at);
      c.stage = Stage::kPulling;
      if (c.last && c.last->attempt == c.attempt) ++c.attempt;
      if (c.waiting_reason == "CrashLoopBackOff") wait(c, "ContainerCreating", {});
      actions_.pull_image(c.name);
      return;
    case Stage::kRunning:
      return step_probes(spec, c, now);
    case Stage::kStopping:
      return step_kill(c, now);
    case Stage::kPulling:
    case Stage::kStarting:
      return;
  }
}

void PodMachine::step_probes(const ContainerSpec&, ContainerRecord& c, Time now) {
  Live& l = live(c);
  const auto ask = [&](std::optional<ProbeTracker>& tracker, ProbeKind kind) {
    if (!tracker) return;
    const auto next = tracker->next();
    if (!next) return;
    if (now < *next) return wake(*next);
    tracker->asked();
    actions_.run_probe(c.name, c.attempt, kind);
  };
  ask(l.startup, ProbeKind::kStartup);
  ask(l.readiness, ProbeKind::kReadiness);
  ask(l.liveness, ProbeKind::kLiveness);
}

/// The ladder of a stop: hook, signal, grace, SIGKILL, removal by force.
void PodMachine::step_kill(ContainerRecord& c, Time now) {
  Live& l = live(c);
  if (c.stage != Stage::kStopping) return;
  if (l.give_up_at) {
    if (now < *l.give_up_at) return wake(*l.give_up_at);
    l.give_up_at = now + options_.kill_patience;
    actions_.force_remove(c.name, c.attempt);
    return wake(*l.give_up_at);
  }
  if (now >= l.kill_at.value_or(now)) {
    actions_.signal_container(c.name, c.attempt, SIGKILL);
    l.give_up_at = now + options_.kill_patience;
    return wake(*l.give_up_at);
  }
  if (!l.pre_stop_pending && !l.term_sent) {
    l.term_sent = true;
    actions_.signal_container(c.name, c.attempt, stop_signal_of(spec_of(c)));
  }
  wake(*l.kill_at);
}

// ---- transitions
// ---------------------------------------------------------------------------------

void PodMachine::became_running(const ContainerSpec& spec, ContainerRecord& c) {
  c.stage = Stage::kRunning;
  c.waiting_message.clear();
  live(c) = {};
  if (!spec.post_start) return begin_probing(spec, c);
  live(c).hook_pending = true;
  actions_.run_hook(c.name, c.attempt, HookKind::kPostStart, kLongestHook);
}

/// The hook is done. Until the startup probe has succeeded, the others wait.
void PodMachine::begin_probing(const ContainerSpec& spec, ContainerRecord& c) {
  if (spec.startup)
    live(c).startup.emplace(*spec.startup, c.started_at);
  else
    became_started(spec, c);
}

void PodMachine::became_started(const ContainerSpec& spec, ContainerRecord& c) {
  Live& l = live(c);
  l.startup.reset();
  c.started = true;
  if (spec.readiness)
    l.readiness.emplace(*spec.readiness, c.started_at);
  else
    c.ready = true;
  if (spec.liveness) l.liveness.emplace(*spec.liveness, c.started_at);
}

void PodMachine::stop_container(const ContainerSpec& spec, ContainerRecord& c, Duration grace,
                                const std::string& why, Time now) {
  Live& l = live(c);
  if (c.stage == Stage::kStopping) {
    l.kill_at = std::min(l.kill_at.value_or(now + grace), now + grace);
    return;
  }
  const bool was_running = c.stage == Stage::kRunning;
  c.stage = Stage::kStopping;
  c.ready = false;
  l.startup.reset();
  l.readiness.reset();
  l.liveness.reset();
  l.hook_pending = false;
  l.kill_at = now + grace;
  actions_.record_event(false, c.name, "Killing", why);
  if (was_running && spec.pre_stop && grace > Duration{}) {
    l.pre_stop_pending = true;
    actions_.run_hook(c.name, c.attempt, HookKind::kPreStop, grace);
  }
}

void PodMachine::stop_everything(Duration grace, Time now) {
  for (auto* list : {&record_.init, &record_.regular})
    for (ContainerRecord& c : *list) {
      if (alive(c))
        stop_container(spec_of(c), c, grace, fmt::format("Stopping container {}", c.name), now);
      else if (c.stage == Stage::kPulling)
        c.stage = Stage::kWaiting;
    }
}

void PodMachine::ended(const ContainerSpec& spec, ContainerRecord& c, Termination how, Time now) {
  how.attempt = c.attempt;
  c.stage = Stage::kExited;
  c.ready = c.started = false;
  const bool long_run =
      how.started_at.ns != 0 && how.finished_at - how.started_at >= options_.backoff_reset;
  if (long_run) c.backoff = Duration{};
  c.ended = std::move(how);
  live_.erase(c.name);
  if (restarts(pod_, spec, *c.ended)) {
    // The first restart is at once; then 10 s, doubling.
    c.retry_at = now;
    if (c.backoff > Duration{}) c.retry_at = c.ended->finished_at + c.backoff;
    c.backoff = c.backoff > Duration{} ? std::min(c.backoff * 2, options_.longest_backoff)
                                       : options_.first_backoff;
  }
}

/// A failed pull: it is tried again later and later.
void PodMachine::schedule_retry(ContainerRecord& c, Time from) {
  c.backoff = c.backoff > Duration{} ? std::min(c.backoff * 2, options_.longest_backoff)
                                     : options_.first_backoff;
  c.retry_at = from + c.backoff;
}

void PodMachine::wait(ContainerRecord& c, std::string reason, std::string message) {
  c.waiting_reason = std::move(reason);
  c.waiting_message = std::move(message);
}

void PodMachine::wake(Time at) {
  if (!wake_ || at < *wake_) wake_ = at;
}

/// Writes down and shows what changed; nothing when nothing did.
void PodMachine::show(Time now) {
  Json status = pod_status(pod_, record_, options_.host_ip, now);
  if (Json record = to_json(record_); record != kept_) {
    kept_ = std::move(record);
    actions_.persist(kept_);
  }
  if (status == status_ || removed_) return;
  status_ = std::move(status);
  actions_.publish(status_);
}

bool PodMachine::anything_runs() const {
  for (const auto* list : {&record_.init, &record_.regular})
    for (const ContainerRecord& c : *list)
      if (alive(c)) return true;
  return false;
}

ContainerRecord* PodMachine::current(const std::string& container, int attempt) {
  ContainerRecord* c = record_.find(container);
  return c != nullptr && c->attempt == attempt ? c : nullptr;
}

const ContainerSpec& PodMachine::spec_of(const ContainerRecord& c) const {
  return *pod_.find_container(c.name);
}

}  // namespace berth::node
