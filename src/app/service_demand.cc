#include "app/service_demand.h"

#include <utility>

#include "documents/demand_report.h"

namespace berth::app {

void ServiceDemand::feed(controllers::Runner* runner) {
  const std::lock_guard lock(mutex_);
  runner_ = runner;
}

Result<> ServiceDemand::take(const Json& reports) {
  BERTH_TRY(auto read, documents::reports_from_document(reports));
  const std::lock_guard lock(mutex_);
  if (runner_ == nullptr) return fail(ErrorCode::kUnavailable, "the controllers are stopping");
  runner_->add_demand(std::move(read));
  return {};
}

}  // namespace berth::app
