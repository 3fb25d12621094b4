#include "control/control.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "control/cycle.h"
#include "core/sharing/time_slicing/policy.h"

namespace berth::control {
namespace {

Result<> check(const core::RoundsPolicy& rounds) {
  if (rounds.policy.empty()) return {};
  if (core::find_time_slicing_policy(rounds.policy) == nullptr)
    return fail(ErrorCode::kInvalid, fmt::format("unknown policy `{}`", rounds.policy),
                "timeSlicing.policy", "choose berth; docs/policies.md has them all");
  if (rounds.length <= Duration{} || rounds.length < rounds.restart_cost * 2)
    return fail(ErrorCode::kInvalid,
                fmt::format("rounds of {} would be lost to restarts of {}",
                            format_duration(rounds.length), format_duration(rounds.restart_cost)),
                "timeSlicing.round", "give at least twice timeSlicing.restartCost");
  return {};
}

Result<> check(const core::PolicySet& policy) {
  BERTH_CHECK(check(policy.rounds));
  if (core::make_placer(policy.profile, 0) != nullptr) return {};
  return fail(ErrorCode::kInvalid, fmt::format("unknown placement policy `{}`", policy.profile),
              "placement.policy",
              fmt::format("choose one of {}", fmt::join(core::placement_profiles(), ", ")));
}

}  // namespace

Control::Control(Options options) : options_(std::move(options)), journal_(options_.journal) {
  placer_ = core::make_placer(options_.policy.profile, options_.seed);
  state_.apply(options_.policy);
}

Result<std::unique_ptr<Control>> Control::make(Options options) {
  BERTH_CHECK(check(options.policy));
  return std::unique_ptr<Control>(new Control(std::move(options)));
}

Result<> Control::set_policy(core::PolicySet policy) {
  BERTH_CHECK(check(policy));
  add(std::move(policy));
  return {};
}

// A segment is read in a process that knows nothing but it: ids and slots come out of the snapshot.
// They break no ties, but what runs here should be exactly what a replay runs.
void Control::begin_segment(Time now) {
  const std::vector<core::Event> snapshot = state_.snapshot();
  core::State restored;
  for (const core::Event& event : snapshot) restored.apply(event);
  state_ = std::move(restored);
  placer_ = core::make_placer(state_.policy().profile, options_.seed);
  journal_.begin_segment({options_.build, options_.seed, now}, snapshot);
}

const core::Plan& Control::cycle(Time now) {
  if (journal_.wants_segment()) begin_segment(now);
  std::vector<core::Event> events = std::exchange(pending_, {});
  events.insert(events.begin(), core::Tick{now});
  const std::string profile = state_.policy().profile;
  for (const core::Event& event : events) state_.apply(event);
  if (state_.policy().profile != profile)
    placer_ = core::make_placer(state_.policy().profile, options_.seed);
  journal_.events(events);

  plan_ = decide(state_, *placer_, plan_.id + 1);
  ++cycles_;
  journal_.plan(plan_);
  state_.commit(plan_.id, plan_.actions);
  if (options_.executor != nullptr) options_.executor->execute(plan_);
  return plan_;
}

Result<Explanation> Control::explain(std::string_view task) const {
  return control::explain(state_, plan_, options_.seed, task);
}

}  // namespace berth::control
