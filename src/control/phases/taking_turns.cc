#include "control/phases/taking_turns.h"

#include <algorithm>
#include <tuple>

#include "core/preemption/turns.h"

namespace berth::control {

using namespace core;  // NOLINT: the cycle is written in the core's terms

namespace {

/// Of a group, so many that wait are looked at, in the order in which they are served.
constexpr size_t kMostWaiting = 64;

struct Group {
  std::tuple<QueueId, int32_t, NameId> of;  ///< queue, priority, kind of device
  TurnTakers takers;
  std::vector<Waiter*> waiters;
};

std::vector<TaskId> wanted(const Decision& d, GangId id) {
  std::vector<TaskId> tasks = d.pending(d.state.gang(id));
  tasks.resize(std::min<size_t>(tasks.size(), d.state.gang(id).min));
  return tasks;
}

/// Where some wait that may take turns with some that run.
std::vector<Group> groups_of(Decision& d) {
  std::vector<Group> groups;
  for (Waiter& waiter : d.waiters) {
    const Gang& gang = d.state.gang(waiter.gang);
    if (waiter.code != ReasonCode::kInsufficient && waiter.code != ReasonCode::kQueueLimit)
      continue;
    if (gang.running > 0 || !takes_turns(d.state, gang)) continue;
    const std::tuple of(gang.queue, gang.priority,
                        d.state.shape_of(gang.tasks.front()).devices.resource);
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& known) { return known.of == of; });
    if (group == groups.end())
      group = groups.insert(group, {of, {running_turn_takers(d.state, gang), {}}, {}});
    if (group->waiters.size() == kMostWaiting) continue;
    group->waiters.push_back(&waiter);
    group->takers.waiting.push_back(waiter.gang);
  }
  std::erase_if(groups, [](const Group& group) { return group.takers.running.empty(); });
  return groups;
}

/// It has the next turn: `turn` stops for it, and what they leave is kept for it.
void give(Decision& d, GangId id, Turn turn) {
  Duration grace;
  for (GangId yielding : turn.yielding)
    for (TaskId task : d.state.gang(yielding).tasks)
      if (runs(d.state.task(task))) {
        grace = std::max(grace, d.state.task(task).grace);
        d.evict(task, EvictReason::kTurn, id);
      }
  d.claim({id, false, std::move(turn.placed), d.state.now() + grace + kClaimSlack, {}, false});
}

/// Preemptible work may use what is reserved, and turns change what will be free when: who waits
/// next has it worked out anew after them.
void drop_reservations(Decision& d) {
  std::vector<GangId> holders;
  for (const HeldClaim& claim : d.state.claims())
    if (claim.reservation) holders.push_back(claim.gang);
  for (GangId holder : holders) d.drop_claim(holder);
}

void give_turns(Decision& d, Group& group) {
  const std::vector<GangId> chosen = choose_round(d.state, group.takers);
  const auto goes_on = [&](GangId id) {
    return std::find(chosen.begin(), chosen.end(), id) != chosen.end() ||
           !had_its_turn(d.state, d.state.gang(id));
  };
  std::vector<GangId> may_yield = group.takers.running;
  std::erase_if(may_yield, goes_on);
  for (GangId id : chosen) {
    const auto waiter = std::find_if(group.waiters.begin(), group.waiters.end(),
                                     [&](const Waiter* w) { return w->gang == id; });
    if (waiter == group.waiters.end()) continue;
    std::optional<Turn> turn = find_turn(d.state, d.trial, d.placer, d.entitlements(),
                                         d.disruptions, id, wanted(d, id), may_yield);
    if (!turn) continue;
    std::erase_if(may_yield, [&](GangId gone) {
      return std::find(turn->yielding.begin(), turn->yielding.end(), gone) != turn->yielding.end();
    });
    give(d, id, std::move(*turn));
    (*waiter)->code = ReasonCode::kClaimed;
  }
}

}  // namespace

void take_turns(Decision& d) {
  const RoundsPolicy& rounds = d.state.policy().rounds;
  if (rounds.policy.empty()) return;
  std::vector<Group> groups = groups_of(d);
  if (groups.empty()) return;
  const bool due = d.state.round_begun() + rounds.length <= d.state.now();
  const Time next = (due ? d.state.now() : d.state.round_begun()) + rounds.length;
  d.wake_at(next);
  if (due) {
    d.act(BeginRound{d.state.now()});
    drop_reservations(d);
  }
  for (Group& group : groups) {
    if (due) give_turns(d, group);
    for (Waiter* waiter : group.waiters)
      if (waiter->code != ReasonCode::kClaimed) waiter->next_round = next;
  }
}

}  // namespace berth::control
