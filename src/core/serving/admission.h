#pragma once

#include <cstdint>

#include "base/time.h"

namespace berth::core {

/// How fast work is done while some waits: weighted tokens a second, averaged exponentially over
/// busy time alone (an idle model is not a slow one).
class DrainRate {
 public:
  explicit DrainRate(Duration window = Duration::seconds(10)) : window_(window) {}

  /// Work that ended, and whether any waits behind it.
  void on_work(int64_t work, bool backlog, Time now);
  /// 0: not known yet.
  double work_per_s() const;

 private:
  const Duration window_;
  double rate_ = 0;
  double weight_ = 0;  ///< how much of the average is observed, up to 1
  int64_t pending_ = 0;
  Time since_;
  bool busy_ = false;
};

/// How long until this much work is done: zero where the rate is not known.
Duration expected_wait(int64_t work_ahead, double work_per_s);

/// What `Retry-After` says: whole seconds, 1 to 60.
int retry_after_s(Duration wait);

}  // namespace berth::core
