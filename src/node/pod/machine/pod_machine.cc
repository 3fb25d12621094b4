#include "node/pod/machine/pod_machine.h"

#include <algorithm>

#include <fmt/format.h>

namespace berth::node {
namespace {

/// SIGTERM gets at least this long after a hook that used up the grace, as the kubelet gives.
constexpr Duration kLeastGrace = Duration::seconds(2);
constexpr Duration kConfigRetry = Duration::seconds(10);

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
    const bool forbidden = ips.error().code == ErrorCode::kForbidden;
    for (auto* list : {&record_.init, &record_.regular})
      for (ContainerRecord& c : *list)
        if (c.stage == Stage::kWaiting)
          wait(c, forbidden ? "VolumeForbidden" : "ContainerCreating", ips.error().to_string());
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

}  // namespace berth::node
