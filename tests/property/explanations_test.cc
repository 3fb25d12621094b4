// What is said of what waits is true.

#include <algorithm>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "control/cycle.h"
#include "tests/property/world.h"

namespace berth {
namespace {

/// Does the gang run after one more cycle of this state?
bool starts(State& state, const std::string& name) {
  const auto placer = make_placer(state.policy().profile, 1);
  const Plan plan = control::decide(state, *placer, 0);
  state.apply(PlanCommit{0, plan.actions});
  const GangId id = state.find_gang(name);
  if (!id.valid()) return false;
  const Gang& gang = state.gang(id);
  const auto running = std::count_if(gang.tasks.begin(), gang.tasks.end(), [&](TaskId task) {
    return state.task(task).holds_place() && state.task(task).phase != TaskPhase::kReleasing;
  });
  return static_cast<uint32_t>(running) >= gang.min;
}

State restored(const State& state) {
  State copy;
  for (const Event& event : state.snapshot()) copy.apply(event);
  return copy;
}

std::string pending_member(const State& state, const Gang& gang) {
  for (TaskId task : gang.tasks)
    if (state.task(task).phase == TaskPhase::kPending) return state.task(task).name;
  return {};
}

bool has(const Waiting& waiting, ReasonCode code) {
  return std::any_of(waiting.reasons.begin(), waiting.reasons.end(),
                     [&](const Reason& reason) { return reason.code == code; });
}

/// Every change that an explanation names, applied, lets the gang start.
TEST(Explanations, NameChangesThatHelp) {
  const bool holds = rc::check("changes help", [](uint32_t seed) {
    World world(seed);
    for (int i = 0; i < 12; ++i) world.step();
    size_t looked_at = 0;
    for (const Waiting& waiting : world.plan().waiting) {
      const State& state = world.state();
      const Gang& gang = state.gang(state.find_gang(waiting.gang));
      if (++looked_at > 5) break;
      const auto explanation = world.explain(pending_member(state, gang));
      RC_ASSERT(explanation.has_value());
      for (const control::Change& change : explanation->changes) {
        State changed = restored(state);
        for (const Event& event : change.events) changed.apply(event);
        if (!starts(changed, waiting.gang))
          RC_FAIL(waiting.gang + " does not start with: " + change.text);
      }
    }
  });
  EXPECT_TRUE(holds);
}

/// `Never` is said at once of what an empty cluster could not hold, and of nothing else.
TEST(Explanations, SayAtOnceWhatNeverFits) {
  const bool holds = rc::check("never", [](uint32_t seed) {
    World world(seed);
    for (int i = 0; i < 12; ++i) world.step();
    const State& state = world.state();
    for (const Waiting& waiting : world.plan().waiting) {
      const bool never = has(waiting, ReasonCode::kNever) || has(waiting, ReasonCode::kNoNodes);
      if (!never && !has(waiting, ReasonCode::kInsufficient)) continue;
      State empty = restored(state);
      const GangId id = empty.find_gang(waiting.gang);
      // A gang that runs waits with its growth, or to be made whole.
      bool runs = false;
      for (TaskId task : empty.gang(id).tasks) runs |= empty.task(task).holds_place();
      if (runs) continue;
      for (const Task& task : state.tasks())
        if (task.phase != TaskPhase::kGone && state.gang(task.gang).name != waiting.gang)
          empty.apply(TaskRemove{task.name});
      // Limits and guarantees are another reason.
      for (const TaskId task : std::vector<TaskId>(empty.gang(id).tasks)) {
        TaskUpsert free = empty.describe(task);
        free.preemptible = true;
        empty.apply(free);
      }
      for (const Queue& queue : state.queues()) {
        if (!queue.alive) continue;
        QueueUpsert free = state.describe(state.find_queue(queue.name));
        free.limit = {};
        empty.apply(free);
      }
      if (starts(empty, waiting.gang) == never)
        RC_FAIL(waiting.gang + (never ? " can start after all" : " can never start"));
    }
  });
  EXPECT_TRUE(holds);
}

}  // namespace
}  // namespace berth
