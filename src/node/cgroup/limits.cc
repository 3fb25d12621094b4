#include "node/cgroup/limits.h"

#include <algorithm>

namespace berth::node {

std::string_view to_string(QosClass qos) {
  switch (qos) {
    case QosClass::kGuaranteed:
      return "Guaranteed";
    case QosClass::kBurstable:
      return "Burstable";
    case QosClass::kBestEffort:
      return "BestEffort";
  }
  return "BestEffort";
}

int64_t shares_from_milli_cpu(int64_t milli) {
  return std::clamp<int64_t>(milli * 1024 / 1000, 2, 262'144);
}

int64_t quota_from_milli_cpu(int64_t milli) {
  return std::max<int64_t>(milli * kCpuPeriodUs / 1000, 1000);
}

int64_t weight_from_shares(int64_t shares) {
  return 1 + (std::clamp<int64_t>(shares, 2, 262'144) - 2) * 9999 / 262'142;
}

int64_t io_weight_from_blkio(int64_t weight) {
  return 1 + (std::clamp<int64_t>(weight, 10, 1000) - 10) * 9999 / 990;
}

int64_t io_weight_of(QosClass qos) {
  switch (qos) {
    case QosClass::kGuaranteed:
      return 500;
    case QosClass::kBurstable:
      return 200;
    case QosClass::kBestEffort:
      return 50;
  }
  return 50;
}

int oom_score_adj(QosClass qos, int64_t memory_request_bytes, int64_t machine_memory_bytes) {
  if (qos == QosClass::kGuaranteed) return -997;
  if (qos == QosClass::kBestEffort) return 1000;
  const double share =
      static_cast<double>(memory_request_bytes) /
      static_cast<double>(std::max<int64_t>(machine_memory_bytes, memory_request_bytes + 1));
  return std::clamp(static_cast<int>(1000 - 1000 * share), 3, 999);
}

}  // namespace berth::node
