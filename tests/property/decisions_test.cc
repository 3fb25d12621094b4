// What every decision must keep, over random clusters and histories.

#include <algorithm>
#include <map>
#include <memory>
#include <sstream>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/rng.h"
#include "control/control.h"
#include "control/cycle.h"
#include "control/replay.h"
#include "core/model/trial.h"
#include "core/placement/gang.h"
#include "core/sharing/entitlement.h"

namespace berth {
namespace {

using namespace core;  // NOLINT

class Lines : public control::JournalSink {
 public:
  void begin_segment() override { text.clear(); }
  void append(std::string_view line) override { text += std::string(line) + "\n"; }
  std::string text;
};

/// A random cluster that lives: tasks come, run, stop, nodes go and come back. All randomness comes
/// from one seed, so that a failure is one number.
class World {
 public:
  explicit World(uint64_t seed) : rng_(seed) {
    auto made = control::Control::make({.seed = seed, .build = "test", .journal = &lines});
    control_ = std::move(*made);
    const auto nodes = 1 + rng_.below(4);
    for (uint64_t i = 0; i < nodes; ++i) add_node("n" + std::to_string(i));
    control_->add(QueueUpsert{.name = "root"});
    const char* const kLeaves[] = {"a", "b", "c"};
    for (const char* leaf : kLeaves) {
      QueueUpsert queue{.name = leaf, .parent = rng_.below(2) == 0 ? "root" : ""};
      queue.weight_milli = static_cast<int64_t>(1000 * (1 + rng_.below(3)));
      if (rng_.below(2) == 0)
        queue.guaranteed.accelerators.push_back(
            {"nvidia.com/gpu", static_cast<int64_t>(1000 * rng_.below(6)), 0});
      if (rng_.below(2) == 0)
        queue.limit.accelerators.push_back(
            {"nvidia.com/gpu", static_cast<int64_t>(1000 * (1 + rng_.below(8))), 0});
      if (rng_.below(3) == 0)
        queue.limit.cpu_milli = static_cast<int64_t>(4000 + rng_.below(20'000));
      if (rng_.below(2) == 0) queue.reclaim = Reclaim::kGuarantee;
      queue.times.protection = Duration::seconds(static_cast<int64_t>(rng_.below(30)));
      control_->add(queue);
    }
  }

  void step() {
    for (uint64_t n = rng_.below(4); n > 0; --n) arrive();
    if (rng_.below(3) == 0) finish_one();
    if (rng_.below(2) == 0) stop_releasing();
    if (rng_.below(20) == 0) {
      const std::string name = "n" + std::to_string(rng_.below(4));
      if (control_->state().find_node(name).valid())
        control_->add(NodeRemove{name});
      else
        add_node(name);
    }
    now_ = now_ + Duration::seconds(static_cast<int64_t>(rng_.below(60)));
    plan_ = control_->cycle(now_);
    for (const Action& action : plan_.actions)
      if (const auto* bind = std::get_if<Bind>(&action))
        control_->add(BindDone{bind->place.task, rng_.below(10) != 0});
  }

  const State& state() const { return control_->state(); }
  const Plan& plan() const { return plan_; }
  Lines lines;

 private:
  void add_node(const std::string& name) {
    NodeUpsert node{.name = name,
                    .capacity = {.cpu_milli = 16'000,
                                 .memory_bytes = int64_t{64} << 30,
                                 .ephemeral_bytes = 0,
                                 .pods = 20}};
    const auto devices = rng_.below(5);
    const std::string model = rng_.below(2) == 0 ? "A" : "B";
    for (uint64_t i = 0; i < devices; ++i)
      node.devices.push_back({.id = "gpu-" + std::to_string(i),
                              .resource = "nvidia.com/gpu",
                              .model = model,
                              .memory_bytes = int64_t{16} << 30});
    control_->add(node);
  }

  void arrive() {
    const std::string name = "t" + std::to_string(++arrivals_);
    TaskUpsert task{.name = name, .ns = "default"};
    const char* const kLeaves[] = {"a", "b", "c"};
    task.queue = kLeaves[rng_.below(3)];
    task.created = now_;
    task.priority = static_cast<int32_t>(rng_.below(3));
    task.preemptible = rng_.below(5) != 0;
    if (rng_.below(2) == 0)
      task.expected_duration = Duration::seconds(static_cast<int64_t>(1 + rng_.below(300)));
    task.shape.request.cpu_milli = static_cast<int64_t>(500 + rng_.below(4000));
    task.shape.request.memory_bytes = int64_t{1} << 30;
    if (const auto kind = rng_.below(4); kind > 0) {
      task.shape.devices.resource = "nvidia.com/gpu";
      task.shape.devices.count = static_cast<uint16_t>(kind == 1 ? 1 : 1 + rng_.below(3));
      if (kind == 1) task.shape.devices.milli = static_cast<uint16_t>(100 + rng_.below(900));
      if (kind == 1 && rng_.below(3) == 0) {
        task.shape.devices.milli = 0;
        task.shape.devices.memory_bytes = static_cast<int64_t>(1 + rng_.below(16)) << 30;
      }
      if (rng_.below(4) == 0) task.shape.devices.models = {"A"};
    }
    const uint64_t members = rng_.below(4) == 0 ? 2 + rng_.below(3) : 1;
    if (members > 1) {
      task.gang = "g" + std::to_string(arrivals_);
      const auto min = static_cast<uint32_t>(1 + rng_.below(members));
      control_->add(GangUpsert{.name = task.gang,
                               .queue = task.queue,
                               .priority = task.priority,
                               .min = min,
                               .max = static_cast<uint32_t>(members),
                               .created = now_});
    }
    for (uint64_t i = 0; i < members; ++i) {
      if (members > 1) task.name = name + "-" + std::to_string(i);
      control_->add(task);
    }
  }

  void finish_one() {
    std::vector<std::string> running;
    for (const Task& task : state().tasks())
      if (task.phase == TaskPhase::kBound) running.push_back(task.name);
    std::sort(running.begin(), running.end());
    if (!running.empty()) control_->add(TaskRemove{running[rng_.below(running.size())]});
  }

  void stop_releasing() {
    std::vector<std::string> gone;
    for (const Task& task : state().tasks())
      if (task.phase == TaskPhase::kReleasing) gone.push_back(task.name);
    std::sort(gone.begin(), gone.end());
    for (const std::string& name : gone) control_->add(TaskRemove{name});
  }

  Rng rng_;
  std::unique_ptr<control::Control> control_;
  Time now_{int64_t{1'000'000} * 1'000'000'000};
  int arrivals_ = 0;
  Plan plan_;
};

void no_device_is_oversubscribed(const State& state) {
  for (const Node& node : state.nodes()) {
    std::vector<int64_t> milli(node.devices.size(), 0);
    std::vector<int64_t> memory(node.devices.size(), 0);
    for (TaskId id : node.tasks) {
      const Task& task = state.task(id);
      for_each_device(task.devices, [&](size_t i) {
        const DeviceShare share = share_on(state.shape(task.shape).devices, node.devices[i]);
        milli[i] += share.milli;
        memory[i] += share.memory_bytes;
      });
    }
    for (size_t i = 0; i < node.devices.size(); ++i) {
      RC_ASSERT(milli[i] == node.devices[i].used_milli);
      RC_ASSERT(milli[i] <= 1000);
      RC_ASSERT(memory[i] <= node.devices[i].memory_bytes);
    }
    if (!node.alive) continue;
    RC_ASSERT(node.capacity.covers(node.used));
  }
}

void no_queue_is_above_its_limit(const State& state) {
  for (const Queue& queue : state.queues()) {
    if (!queue.alive) continue;
    for (const Quota::Row& row : queue.limit.accelerators)
      RC_ASSERT(sum_of(queue.used, row.mask) <= row.milli);
    if (queue.limit.cpu_milli >= 0) RC_ASSERT(queue.used.cpu_milli <= queue.limit.cpu_milli);
  }
}

/// Usage that is kept step by step is what a count from scratch gives.
void accounts_add_up(const State& state) {
  std::map<QueueId, Usage> used;
  std::map<QueueId, int64_t> pending;
  for (const Task& task : state.tasks()) {
    if (task.phase == TaskPhase::kGone || !task.gang.valid()) continue;
    const Shape& shape = state.shape(task.shape);
    for (QueueId id = state.gang(task.gang).queue; id.valid(); id = state.queue(id).parent) {
      if (task.holds_place())
        add_to(used[id], {shape.request.cpu_milli, shape.request.memory_bytes,
                          task.charged_accelerator, task.charged_milli});
      else
        pending[id] += shape.request.cpu_milli;
    }
  }
  for (size_t i = 0; i < state.queues().size(); ++i) {
    const QueueId id{static_cast<uint32_t>(i)};
    if (!state.queue(id).alive) continue;
    RC_ASSERT(state.queue(id).used == used[id]);
    RC_ASSERT(state.queue(id).pending_cpu_milli == pending[id]);
  }
}

void gangs_start_whole(const State& state, const Plan& plan) {
  std::map<std::string, size_t> binds;
  for (const Action& action : plan.actions)
    if (const auto* bind = std::get_if<Bind>(&action)) ++binds[bind->place.task];
  for (const auto& [name, count] : binds) {
    RC_ASSERT(count == 1u);
    const Gang& gang = state.gang(state.task(state.find_task(name)).gang);
    const auto holding = std::count_if(gang.tasks.begin(), gang.tasks.end(), [&](TaskId id) {
      return state.task(id).holds_place() && state.task(id).phase != TaskPhase::kReleasing;
    });
    // A failed binding leaves its gang short for a while: its intent is being rolled forward.
    RC_ASSERT(static_cast<uint32_t>(holding) >= gang.min || !gang.intent.empty());
  }
}

TEST(Decisions, KeepTheInvariants) {
  const bool holds = rc::check("random histories", [](uint32_t seed) {
    World world(seed);
    for (int i = 0; i < 25; ++i) {
      world.step();
      no_device_is_oversubscribed(world.state());
      no_queue_is_above_its_limit(world.state());
      accounts_add_up(world.state());
      gangs_start_whole(world.state(), world.plan());
    }
  });
  EXPECT_TRUE(holds);
}

TEST(Decisions, LeaveNoTraceAndComeOutTheSameAgain) {
  const bool holds = rc::check("equal seeds, equal journals, equal replays", [](uint32_t seed) {
    World one(seed);
    World two(seed);
    for (int i = 0; i < 15; ++i) {
      one.step();
      two.step();
    }
    RC_ASSERT(one.lines.text == two.lines.text);
    RC_ASSERT(one.state().hash() == two.state().hash());
    std::istringstream journal(one.lines.text);
    const auto report = control::replay(journal);
    RC_ASSERT(report.has_value());
    if (report->first_difference)
      RC_FAIL(report->first_difference->recorded + " / " + report->first_difference->replayed);
    RC_ASSERT(report->final_hash == one.state().hash());

    State copy = one.state();
    const uint64_t before = copy.hash();
    const auto placer = make_placer("pack", 1);
    control::decide(copy, *placer, 99);
    RC_ASSERT(copy.hash() == before);

    State restored;
    for (const Event& event : copy.snapshot()) restored.apply(event);
    RC_ASSERT(restored.hash() == before);
  });
  EXPECT_TRUE(holds);
}

/// With victims of its own queue a gang can come within its entitlement to others': sparing one
/// then takes away the claim, not the room.
bool one_reason(const Plan& plan) {
  std::optional<EvictReason> reason;
  for (const Action& action : plan.actions)
    if (const auto* evict = std::get_if<Evict>(&action); evict && !evict->beneficiary.empty()) {
      if (reason && *reason != evict->reason) return false;
      reason = evict->reason;
    }
  return true;
}

/// Undoing any one victim of a preemption leaves its beneficiary without a place.
TEST(Decisions, TakeNoVictimTooMany) {
  const bool holds = rc::check("victims are minimal", [](uint32_t seed) {
    World world(seed);
    for (int i = 0; i < 20; ++i) {
      State before = world.state();
      world.step();
      std::map<std::string, std::map<std::string, std::vector<std::string>>> victims;
      for (const Action& action : world.plan().actions)
        if (const auto* evict = std::get_if<Evict>(&action); evict && !evict->beneficiary.empty()) {
          const State& state = world.state();
          victims[evict->beneficiary]
                 [state.gang(state.task(state.find_task(evict->task)).gang).name]
                     .push_back(evict->task);
        }
      if (victims.size() != 1 || !one_reason(world.plan())) continue;
      // As it is now, with everything vacated that was told to stop, but for one victim.
      State now = world.state();
      const auto& [beneficiary, gangs] = *victims.begin();
      const GangId id = now.find_gang(beneficiary);
      const auto placer = make_placer("pack", 1);
      std::vector<TaskId> tasks;
      for (TaskId task : now.gang(id).tasks)
        if (now.task(task).phase == TaskPhase::kPending) tasks.push_back(task);
      tasks.resize(std::min<size_t>(tasks.size(), now.gang(id).min));
      for (const auto& [spared, members] : gangs) {
        Trial trial(now);
        const Entitlements entitlements(now);
        trial.unclaim(id);
        for (const auto& [other, stopping] : gangs)
          for (const std::string& name : stopping) {
            const TaskId task = now.find_task(name);
            const Placement place{task, now.task(task).node, now.task(task).devices};
            trial.vacate(task);
            if (other == spared) trial.place(place);
          }
        const GangFit fit = place_gang(now, trial, *placer, entitlements, id, tasks);
        RC_ASSERT(!fit.whole());
      }
    }
  });
  EXPECT_TRUE(holds);
}

}  // namespace
}  // namespace berth
