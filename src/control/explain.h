#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "base/error.h"
#include "core/model/event.h"
#include "core/model/plan.h"
#include "core/model/state.h"

namespace berth::control {

/// Something that, all else equal, would let the gang start in the next cycle. Each was tried on a
/// copy of the state before it is told.
struct Change {
  enum class Kind {
    kLowerRequest,
    kFree,
    kRaiseLimit,
    kPreemptible,
    kUncordon,
    kWait,
    kRaiseBudget
  };
  Kind kind = Kind::kFree;
  std::string text{};
  /// The change itself: applied to the state that was explained, the gang starts in the next cycle.
  std::vector<core::Event> events{};
};
std::string_view to_string(Change::Kind kind);

/// Who has devices that the waiting gang could use.
struct Holder {
  std::string gang;
  std::string queue;
  int64_t device_milli = 0;
  int32_t priority = 0;
};

struct Explanation {
  std::string task;
  core::TaskPhase phase = core::TaskPhase::kPending;
  std::string gang;
  uint32_t gang_size = 1;
  std::string queue;
  int64_t growth_micro = core::kNotGrowth;  ///< see core::Gang
  std::string node;
  std::vector<std::string> devices;
  uint64_t plan = 0;  ///< the decision that this tells of
  Time decided;
  std::optional<core::Waiting> waiting;
  std::vector<Holder> holders;
  std::vector<Change> changes;
};

/// Why a task is where it is, or waits, as of the last plan. Fails with kNotFound.
Result<Explanation> explain(const core::State& state, const core::Plan& plan, uint64_t seed,
                            std::string_view task);

boost::json::value to_json(const Explanation& explanation);

}  // namespace berth::control
