#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "controllers/kinds.h"
#include "controllers/view.h"
#include "controllers/write.h"

namespace berth::controllers {

/// A controller is two pure functions and a name.
struct Controller {
  std::string_view name;
  /// Which objects this controller must look at again because `object` was added, changed or
  /// removed (then it is the last version seen).
  void (*affected)(const View& view, const Object& object, std::vector<Key>& keys);
  /// What to write so that the world comes closer to what `key` asks for. Level-triggered: called
  /// with nothing changed it must ask for nothing. `key` may be gone.
  Outcome (*reconcile)(const View& view, const Key& key, Time now);
};

/// Every controller, in the order in which the runner asks them. A new one is a file that
/// declares `extern const Controller k...;` and one row in registry.cc.
std::span<const Controller* const> all_controllers();

}  // namespace berth::controllers
