#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "control/explain.h"
#include "control/journal.h"
#include "core/model/state.h"
#include "core/placement/placer.h"

namespace berth::control {

/// Carries plans out. `execute` returns at once; what becomes of an action comes back as an event.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void execute(const core::Plan& plan) = 0;
};

/// Events in, plans out. A plain object without thread or clock of its own: its owner calls `add`
/// when something happened and `cycle` a few milliseconds after the first of it, or at
/// `next_wakeup`. One thread.
class Control {
 public:
  struct Options {
    uint64_t seed = 1;
    std::string build{};
    JournalSink* journal = nullptr;  ///< outlives this; null: none
    Executor* executor = nullptr;    ///< outlives this
    core::PolicySet policy{};
  };

  /// Fails when the policy names no placement profile that there is.
  static Result<std::unique_ptr<Control>> make(Options options);

  /// Changes the configuration at the next cycle. Fails as `make` does.
  Result<> set_policy(core::PolicySet policy);
  /// Kept until the next cycle.
  void add(core::Event event) { pending_.push_back(std::move(event)); }
  bool has_events() const { return !pending_.empty(); }

  /// Applies what was added, decides, journals, hands the plan to the executor.
  const core::Plan& cycle(Time now);

  /// When to call `cycle` although nothing happened.
  std::optional<Time> next_wakeup() const { return plan_.next_wakeup; }
  const core::State& state() const { return state_; }
  /// The newest plan.
  const core::Plan& plan() const { return plan_; }
  uint64_t cycles() const { return cycles_; }

  /// Why a task is where it is, or waits. Changes nothing.
  Result<Explanation> explain(std::string_view task) const;

 private:
  explicit Control(Options options);
  void begin_segment(Time now);

  Options options_;
  core::State state_;
  std::unique_ptr<core::Placer> placer_;
  Journal journal_;
  std::vector<core::Event> pending_;
  core::Plan plan_;
  uint64_t cycles_ = 0;
};

}  // namespace berth::control
