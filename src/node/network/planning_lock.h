#pragma once

#include "platform/process.h"

namespace berth::node {

/// Two servers that begin at once on one machine must not choose the same bridge, networks and
/// range of Services: held from choosing until what was chosen can be seen. Waits for the other,
/// which takes milliseconds; where the lock cannot be made, goes on without.
class PlanningLock {
 public:
  PlanningLock();

 private:
  platform::Fd file_;
};

}  // namespace berth::node
