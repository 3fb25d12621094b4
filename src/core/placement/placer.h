#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/model/plan.h"
#include "core/model/state.h"

namespace berth::core {

/// Where may this task go?
struct PlaceQuery {
  TaskId task{};
  /// Kinds that the limits of its queues leave room for.
  AcceleratorMask accelerators = kAllAccelerators;
  /// Only nodes with this label; none: all nodes.
  Label domain{};
};

/// Chooses a node, and devices on it, for one task. It may keep indexes over State (State's change
/// log says what to look at again), but its answer depends only on the State it is shown, the query
/// and the seed it was made with. One Placer serves one State for as long as it lives.
///
/// A scorer orders and never refuses: where any node can take the task, one is given.
class Placer {
 public:
  virtual ~Placer() = default;

  /// Under State as it is, moves of a Trial included. The caller carries the placement out.
  virtual std::optional<Placement> place(const State& state, const PlaceQuery& query) = 0;
};

/// A placement profile by its name in configuration; null where there is none of that name.
std::unique_ptr<Placer> make_placer(std::string_view profile, uint64_t seed);
/// The names that `make_placer` knows.
std::vector<std::string_view> placement_profiles();

}  // namespace berth::core
