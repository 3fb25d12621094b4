// How a container of a pod machine gets from one stage to the next, and what that sets.

#include <algorithm>

#include <fmt/format.h>

#include "node/pod/machine/pod_machine.h"
#include "node/pod/machine/pod_status.h"

namespace berth::node {
namespace {

constexpr Duration kLongestHook = Duration::hours(1);

}  // namespace

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
