#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_set>

#include "controllers/view.h"

namespace berth::controllers {

/// What a write will make the view show: an object in one version, or its absence.
struct Expected {
  std::string uid;
  std::string resource_version;
  bool deletion = false;  ///< gone, or at least on its way out
};

/// Answers whether the view has caught up with a write. Versions cannot be compared, only
/// recognised, and a watch may deliver a change before the write is acknowledged: so the last few
/// thousand versions that went by are remembered.
class Expectations {
 public:
  void saw(const Object& object);
  void saw_gone(const Object& object);
  bool is_met(const View& view, const Expected& expected) const;

 private:
  void remember(std::string mark);

  std::deque<std::string> order_;
  std::unordered_set<std::string> marks_;
};

}  // namespace berth::controllers
