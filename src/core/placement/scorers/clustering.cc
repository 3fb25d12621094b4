#include "core/placement/scorers/clustering.h"

namespace berth::core {

int32_t ClusteringScorer::score(const Fleet& fleet, uint32_t node, const Request& request) {
  if (request.devices == 0) return 0;
  const Fleet::Node& at = fleet.node(node);
  const int fullness = 25 * (8 * kWholeDevice - at.idle_milli) / (8 * kWholeDevice);
  int classes = 0;
  for (uint16_t residents : at.residents) classes += residents > 0;
  if (classes == 0) return 25 + fullness;
  if (at.residents[static_cast<size_t>(device_class(request))] == 0) return fullness;
  return (classes == 1 ? 75 : 50) + fullness;
}

}  // namespace berth::core
