#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "base/money.h"
#include "core/scaling/advice/right_size.h"
#include "objects/json.h"

namespace berth::cli {

/// What running containers used, a sample a window of the server's.
class UsageHistory {
 public:
  /// Items of metrics.k8s.io `pods`; what was taken before is not counted again.
  void take(const std::vector<Json>& pod_metrics);
  std::vector<core::SizeSample> of(const std::string& ns, const std::string& pod,
                                   const std::string& container) const;
  size_t samples() const;

 private:
  std::map<std::tuple<std::string, std::string, std::string>, std::map<Time, core::SizeSample>>
      samples_;
};

struct RunningContainer {
  std::string name;
  core::ContainerSize request;  ///< the largest, where pods differ
  core::ContainerSize limit;    ///< of the same pod
  core::RightSize size;
  Money cpu_saves, memory_saves;  ///< an hour, of all its pods; negative where more is advised

  /// Something else than what is requested is advised.
  bool changes() const { return size.size() != request; }
};

/// A bare pod, or the pods that run for one owner.
struct RunningWorkload {
  std::string ns, kind, name;  ///< `Deployment`, `web`
  std::vector<Json> pods;
  bool has_devices = false;
  bool idle = false;
  std::vector<RunningContainer> containers;
  Money saves;       ///< an hour
  Money stop_saves;  ///< an hour, were it stopped; of its CPU and memory

  bool changes() const;
};

/// What of a cluster right-sizing looks at.
struct Surroundings {
  std::vector<Json> pods, replica_sets, deployments, nodes;
  Json prices;  ///< `pricesMicro` of a cost report
};

/// Who owns the pods that run, and how their sizes fit. A pod belongs to its ModelService,
/// Deployment, or to what else controls it.
std::vector<RunningWorkload> right_size(const Surroundings& surroundings,
                                        const UsageHistory& history,
                                        const core::RightSizeRule& rule);

/// The `containers` of a strategic merge patch that gives a workload the advised requests, and
/// limits in the same ratio as before.
JsonArray advised_containers(const RunningWorkload& workload);

}  // namespace berth::cli
