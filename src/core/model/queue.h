#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "core/model/ids.h"

namespace berth::core {

/// What is charged to a queue: its own tasks' and its descendants'.
struct Usage {
  int64_t cpu_milli = 0;
  int64_t memory_bytes = 0;
  /// Thousandths of devices, by kind.
  std::array<int64_t, kMaxAccelerators> accelerator_milli{};

  bool operator==(const Usage&) const = default;
};

/// The charge of one task or gang member: at most one kind of accelerator.
struct Charge {
  int64_t cpu_milli = 0;
  int64_t memory_bytes = 0;
  AcceleratorId accelerator{};
  int64_t accelerator_milli = 0;
};

/// A guarantee or a limit. What is not set (-1, or no row) is not guaranteed, or not limited.
template <class Name>
struct BasicQuota {
  struct Row {
    /// A model, a resource (all its models), several joined by `|`, or `*`.
    Name key{};
    int64_t milli = 0;
    AcceleratorMask mask = 0;  ///< what `key` means now; State keeps it current
    bool operator==(const Row&) const = default;
  };
  int64_t cpu_milli = -1;
  int64_t memory_bytes = -1;
  std::vector<Row> accelerators{};

  bool empty() const { return cpu_milli < 0 && memory_bytes < 0 && accelerators.empty(); }
  bool operator==(const BasicQuota&) const = default;
};
using QuotaSpec = BasicQuota<std::string>;
using Quota = BasicQuota<NameId>;

/// Up to what a queue takes back from others what they borrowed.
enum class Reclaim : uint8_t { kFairShare, kGuarantee };

struct QueueTimes {
  Duration reclaim_delay = Duration::seconds(60);
  Duration protection = Duration::seconds(60);
  Duration replace_timeout = Duration::minutes(5);
  bool operator==(const QueueTimes&) const = default;
};

/// What a queue, and those below it, may spend.
struct QueueBudget {
  bool spent = false;     ///< until then nothing of it starts
  bool preempts = false;  ///< and what runs stops
  std::string amount{};   ///< for people: `10.00 USD a month`
  Time until{};           ///< when the next period begins
  bool operator==(const QueueBudget&) const = default;
};

struct Queue {
  std::string name{};
  bool alive = false;
  QueueId parent{};  ///< invalid at a root
  uint32_t depth = 0;
  int64_t weight_milli = 1000;
  Quota guaranteed{};
  Quota limit{};
  Reclaim reclaim = Reclaim::kFairShare;
  QueueTimes times{};
  QueueBudget budget{};
  std::vector<QueueId> children{};  ///< sorted by name
  std::vector<GangId> gangs{};      ///< of a leaf, sorted by id

  Usage used{};             ///< held, what is releasing included
  Usage releasing{};        ///< part of `used`
  Usage claimed{};          ///< promised by claims (not by reservations)
  Usage non_preemptible{};  ///< part of `used`
  /// What its gangs still want; kind unknown, so devices are in one sum.
  int64_t pending_cpu_milli = 0;
  int64_t pending_memory_bytes = 0;
  int64_t pending_device_milli = 0;
  uint32_t pending_tasks = 0;

  /// What it borrowed so far, decayed: millionths of the cluster (of its dominant dimension) times
  /// milliseconds. State counts it while PolicySet::usage_half_life is set.
  int64_t decayed = 0;
};

}  // namespace berth::core
