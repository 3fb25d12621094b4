#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controllers/scaling/service_scaler.h"
#include "controllers/view.h"

namespace berth::controllers {

/// Everything that is scaled by the load that gateways see. Reports in, verdicts out; `kScaling`
/// writes these.
class Autoscaler {
 public:
  /// True where a request waits for a model that nothing serves: do not wait for the next tick.
  bool on_reports(const std::vector<documents::DemandReport>& reports, Time now);

  /// The verdicts that are new, or say something else than what was last returned; reasons alone
  /// every 5 s. Null: it is not scaled any more. Asked every second.
  std::vector<std::pair<Key, VerdictPtr>> decide(const View& view, Time now);

 private:
  struct Scaled {
    std::string uid;
    std::string asked;  ///< what of the object the scaler was made from
    std::unique_ptr<ServiceScaler> scaler;
    std::set<std::string> started;  ///< pods whose start was counted
    VerdictPtr told;
    Time told_at;
  };

  Scaled& scaled(const View& view, const Object& object, const ScalingSpec& spec);
  void forget_gateways(Time now);

  std::map<Key, Scaled> scaled_;
  struct Gateway {
    int64_t sequence = 0;
    Time heard_at;
  };
  std::map<std::string, Gateway> gateways_;
  /// Not yet taken over by services.
  std::vector<std::pair<int64_t, documents::ModelDemand>> fresh_;
};

}  // namespace berth::controllers
