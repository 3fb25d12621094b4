#pragma once

#include <string_view>

namespace berth::bridge {

// What objects say to Berth and Berth to them, in labels and annotations.

inline constexpr std::string_view kPodGroupLabels[] = {"scheduling.x-k8s.io/pod-group",
                                                       "scheduling.sigs.k8s.io/pod-group"};
inline constexpr std::string_view kVolcanoGroup = "scheduling.k8s.io/group-name";
inline constexpr std::string_view kGangMin = "berth.dev/gang-min";
inline constexpr std::string_view kGangMax = "berth.dev/gang-max";
inline constexpr std::string_view kTopologyRequired = "kueue.x-k8s.io/podset-required-topology";
inline constexpr std::string_view kTopologyPreferred = "kueue.x-k8s.io/podset-preferred-topology";

inline constexpr std::string_view kPreemptible = "berth.dev/preemptible";
inline constexpr std::string_view kRestartable = "berth.dev/restartable";
/// Objective misses a second that a replica beyond its service's minimum avoids.
inline constexpr std::string_view kGrowthValue = "berth.dev/growth-value";
inline constexpr std::string_view kExpectedDuration = "berth.dev/expected-duration";
inline constexpr std::string_view kCheckpointInterval = "berth.dev/checkpoint-interval";
inline constexpr std::string_view kLastCheckpoint = "berth.dev/last-checkpoint";
inline constexpr std::string_view kGpuFractions[] = {"berth.dev/gpu-fraction", "gpu-fraction"};
inline constexpr std::string_view kGpuMemory = "berth.dev/gpu-memory";  ///< a quantity
inline constexpr std::string_view kKaiGpuMemory = "gpu-memory";         ///< in MiB

/// On a Node: the list of its devices. On a Pod, written with its binding: those it was given.
inline constexpr std::string_view kDevices = "berth.dev/devices";
/// On a PodGroup (claims of single pods: on the Pod): what recovery needs.
inline constexpr std::string_view kIntent = "berth.dev/intent";
inline constexpr std::string_view kClaim = "berth.dev/claim";
inline constexpr std::string_view kBackfilled = "berth.dev/backfilled";

}  // namespace berth::bridge
