#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "gateway/traffic/traffic.h"

namespace berth::gateway {

/// Tells the control side each second what came and went of every model, and at once when a request
/// comes to a model that no server is ready for. What could not be told is told later, the last two
/// minutes of it. On a thread of its own.
class DemandReporter {
 public:
  /// `done` may be called on any thread, and after this is gone. What fails with kInvalid is not
  /// sent again.
  using Send = std::function<void(std::string body, std::function<void(Result<>)> done)>;

  /// `traffic` and `clock` outlive this.
  DemandReporter(Traffic& traffic, const Clock& clock, Send send,
                 std::function<void(const std::string&)> remark);
  ~DemandReporter();

  /// Any thread; returns at once.
  void urge();

 private:
  class Reports;
  std::shared_ptr<Reports> reports_;
};

}  // namespace berth::gateway
