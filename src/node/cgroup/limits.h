#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace berth::node {

/// Kubernetes' quality of service classes; they decide where a pod's cgroup is and who dies first.
enum class QosClass { kGuaranteed, kBurstable, kBestEffort };
std::string_view to_string(QosClass qos);

/// What a cgroup is held to, in the units of cgroup v1; an unset field is left alone.
struct CgroupLimits {
  std::optional<int64_t> cpu_shares;
  std::optional<int64_t> cpu_quota_us;  ///< per `kCpuPeriodUs`; -1 is no limit
  std::optional<int64_t> memory_bytes;  ///< -1 is no limit
  std::optional<int64_t> pids;
  std::optional<int64_t> io_weight;  ///< 10..1000, as blkio.weight

  bool operator==(const CgroupLimits&) const = default;
};

inline constexpr int64_t kCpuPeriodUs = 100'000;

/// The kubelet's formulas (k8s.io/kubernetes/pkg/kubelet/cm/helpers_linux.go): 1024 shares a CPU,
/// at least 2, at most 262144.
int64_t shares_from_milli_cpu(int64_t milli);
/// At least 1 ms a period, the least that the kernel takes.
int64_t quota_from_milli_cpu(int64_t milli);
/// The v2 weight of v1 shares: [2..262144] onto [1..10000], as runc converts them.
int64_t weight_from_shares(int64_t shares);
/// `io.weight` of `blkio.weight`: [10..1000] onto [1..10000], as runc converts them.
int64_t io_weight_from_blkio(int64_t weight);
/// Block IO by class: guaranteed 500, burstable 200, best effort 50.
int64_t io_weight_of(QosClass qos);

/// The kubelet's rule (pkg/kubelet/qos/policy.go): the less of its request's share of the machine
/// a burstable container asks for, the sooner it goes.
int oom_score_adj(QosClass qos, int64_t memory_request_bytes, int64_t machine_memory_bytes);

}  // namespace berth::node
