// What a pod machine does next, given where its containers are. Called after every event.

#include <array>

#include <fmt/format.h>
#include <signal.h>

#include "node/pod/machine/pod_machine.h"
#include "node/pod/machine/pod_status.h"

namespace berth::node {
namespace {

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

}  // namespace

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

}  // namespace berth::node
