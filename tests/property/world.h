#pragma once

// A random cluster that lives, for properties of decisions.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "control/control.h"

namespace berth {

using namespace core;  // NOLINT: tests speak the core's terms

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
  static constexpr Duration kRound = Duration::minutes(1);
  static bool takes_turns(uint64_t seed) { return seed % 7 == 5; }

  explicit World(uint64_t seed) : rng_(seed), growth_(seed % 7 >= 4), turns_(takes_turns(seed)) {
    control::Control::Options options{.seed = seed, .build = "test", .journal = &lines};
    options.policy.consolidate = seed % 4 == 3;
    if (turns_)
      options.policy.rounds = {seed % 2 == 0 ? "las" : "berth", kRound, Duration::seconds(10)};
    if (seed % 5 == 4) options.policy.usage_half_life = Duration::minutes(2);
    auto made = control::Control::make(std::move(options));
    control_ = std::move(*made);
    const auto nodes = 1 + rng_.below(4);
    for (uint64_t i = 0; i < nodes; ++i) add_node("n" + std::to_string(i));
    DisruptionBudgetUpsert budget{
        .name = "default/ada", .ns = "default", .allowed = static_cast<int64_t>(seed % 3)};
    budget.selector.all.push_back({"owner", Operator::kIn, {"ada"}});
    add(budget);
    add(QueueUpsert{.name = "root"});
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
      if (rng_.below(6) == 0)
        queue.budget = {.spent = true,
                        .preempts = rng_.below(2) == 0,
                        .amount = "10 USD a day",
                        .until = now_ + Duration::seconds(static_cast<int64_t>(rng_.below(600)))};
      add(queue);
    }
  }

  void step() {
    for (uint64_t n = rng_.below(4); n > 0; --n) arrive();
    if (rng_.below(3) == 0) finish_one();
    if (rng_.below(2) == 0) stop_releasing();
    if (rng_.below(20) == 0) {
      const std::string name = "n" + std::to_string(rng_.below(4));
      if (control_->state().find_node(name).valid())
        add(NodeRemove{name});
      else
        add_node(name);
    }
    now_ = now_ + Duration::seconds(static_cast<int64_t>(rng_.below(60)));
    before_ = state();
    before_.apply(Tick{now_});
    for (Event& event : std::exchange(events_, {})) {
      before_.apply(event);
      control_->add(std::move(event));
    }
    plan_ = control_->cycle(now_);
    for (const Action& action : plan_.actions)
      if (const auto* bind = std::get_if<Bind>(&action))
        add(BindDone{bind->place.task, rng_.below(10) != 0});
  }

  Result<control::Explanation> explain(std::string_view task) const {
    return control_->explain(task);
  }
  const State& state() const { return control_->state(); }
  /// What the plan was decided on: as state(), but for the plan.
  const State& before() const { return before_; }
  const Plan& plan() const { return plan_; }
  Lines lines;

 private:
  void add(Event event) { events_.push_back(std::move(event)); }

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
    add(node);
  }

  void arrive() {
    const std::string name = "t" + std::to_string(++arrivals_);
    TaskUpsert task{.name = name, .ns = "default"};
    const char* const kLeaves[] = {"a", "b", "c"};
    task.queue = kLeaves[rng_.below(3)];
    task.created = now_;
    task.priority = static_cast<int32_t>(rng_.below(3));
    task.preemptible = rng_.below(5) != 0;
    task.restartable = turns_ || arrivals_ % 2 == 0;
    if (turns_) task.priority = 0;
    task.owner = arrivals_ % 3 == 0 ? "ada" : "";
    task.labels.emplace_back("owner", task.owner);
    if (growth_ && arrivals_ % 3 == 1) task.growth_micro = 1000 * (arrivals_ * 37 % 5);
    if (rng_.below(2) == 0)
      task.expected_duration = Duration::seconds(static_cast<int64_t>(1 + rng_.below(300)));
    task.shape.request.cpu_milli = static_cast<int64_t>(500 + rng_.below(4000));
    if (growth_) task.shape.request.cpu_milli = 4000;  // so that many ask for the same
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
    const uint64_t members = rng_.below(turns_ ? 2 : 4) == 0 ? 2 + rng_.below(3) : 1;
    if (members > 1) {
      task.gang = "g" + std::to_string(arrivals_);
      const auto min = static_cast<uint32_t>(1 + rng_.below(members));
      add(GangUpsert{.name = task.gang,
                     .queue = task.queue,
                     .priority = task.priority,
                     .min = min,
                     .max = static_cast<uint32_t>(members),
                     .created = now_});
    }
    for (uint64_t i = 0; i < members; ++i) {
      if (members > 1) task.name = name + "-" + std::to_string(i);
      add(task);
    }
  }

  void finish_one() {
    std::vector<std::string> running;
    for (const Task& task : state().tasks())
      if (task.phase == TaskPhase::kBound) running.push_back(task.name);
    std::sort(running.begin(), running.end());
    if (!running.empty()) add(TaskRemove{running[rng_.below(running.size())], true});
  }

  void stop_releasing() {
    std::vector<std::string> gone;
    for (const Task& task : state().tasks())
      if (task.phase == TaskPhase::kReleasing) gone.push_back(task.name);
    std::sort(gone.begin(), gone.end());
    for (const std::string& name : gone) add(TaskRemove{name});
  }

  Rng rng_;
  bool growth_;  ///< some tasks are replicas beyond their service's minimum
  bool turns_;   ///< much of the work takes turns
  std::unique_ptr<control::Control> control_;
  std::vector<Event> events_;  ///< since the last cycle
  State before_;
  Time now_{int64_t{1'000'000} * 1'000'000'000};
  int arrivals_ = 0;
  Plan plan_;
};

}  // namespace berth
