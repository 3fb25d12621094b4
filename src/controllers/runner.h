#pragma once

#include <memory>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "client/api_client.h"
#include "controllers/view.h"
#include "core/cost/price_list.h"
#include "documents/demand_report.h"

namespace berth::controllers {

struct RunnerOptions {
  client::ApiClient& client;
  const Clock& clock;
  /// Reads the models that lie on this machine, on the runner's thread; none on a cluster.
  View::ModelReader read_model = {};
  core::PriceList prices = {};
};

/// Runs every controller of the registry against an API, on one thread of its own. It keeps the
/// view current by watches, asks a controller again when something it depends on changed, and
/// carries out what it asks for; refused writes are tried again with back-off, and a controller is
/// not asked again before the view shows what it wrote last.
///
/// The client and the clock outlive it. Destroying it ends the thread; writes under way may still
/// happen.
class Runner {
 public:
  static Result<std::unique_ptr<Runner>> start(RunnerOptions options);
  virtual ~Runner() = default;

  /// What gateways saw: the demand that scaling goes by. Any thread.
  virtual void add_demand(std::vector<documents::DemandReport> reports) = 0;
  /// What the pods that run used in the last window: what sizing goes by. Any thread.
  virtual void add_use(std::vector<PodUse> pods) = 0;
  /// What scaling goes by from now on. Any thread.
  virtual void set_prices(core::PriceList prices) = 0;

  /// Has every kind been listed once? May be called from any thread.
  virtual bool synced() const = 0;
};

}  // namespace berth::controllers
