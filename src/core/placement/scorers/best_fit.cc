#include "core/placement/scorers/best_fit.h"

namespace berth::core {

int32_t BestFitScorer::score(const Fleet& fleet, uint32_t node, const Request& request) {
  const Fleet::Node& at = fleet.node(node);
  const double cpu = static_cast<double>(at.cpu_milli - request.cpu_milli) / 128000;
  const double devices = static_cast<double>(at.idle_milli - request.total_milli()) / 8000;
  return static_cast<int32_t>(100 * (1 - 0.5 * cpu - 0.5 * devices));
}

}  // namespace berth::core
