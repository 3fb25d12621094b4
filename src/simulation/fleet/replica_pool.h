#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/scaling/serving/continuous_batching.h"
#include "core/serving/tokens.h"

namespace berth::simulation {

/// One server of the fleet.
struct Replica {
  enum class State { kStarting, kReady, kDraining };

  explicit Replica(const core::ServingProfile& profile) : engine(profile) {}

  core::ContinuousBatching engine;
  core::ReplicaId id;  ///< as the gateway knows it
  State state = State::kStarting;
  double ordered_s = 0;
  double begun_s = 0;  ///< of the stretch under way
  bool busy = false;
  uint64_t planned = 0;  ///< the happening that counts; others are out of date
  int in_flight = 0;
};

/// The replicas of one service and the device time that they hold. A slot that is free is null and
/// is used again.
class ReplicaPool {
 public:
  /// Device time before `count_from_s` is not counted.
  ReplicaPool(const core::ServingProfile& profile, double length_s, double count_from_s);

  uint32_t order(double now_s);
  /// Ends the hold on a device.
  void release(uint32_t slot, double now_s);
  void release_all(double now_s);

  size_t slots() const { return replicas_.size(); }
  Replica* at(uint32_t slot) { return replicas_[slot].get(); }
  const Replica* at(uint32_t slot) const { return replicas_[slot].get(); }
  int count(Replica::State state) const;

  /// The busiest one that drains: the first to take back. Null where none does.
  Replica* to_take_back();
  /// The one to give up: ordered last and not ready, else with the fewest requests. -1: none.
  int64_t to_give_up() const;

  double device_s() const { return device_s_; }
  int64_t orders() const { return orders_; }
  const std::vector<double>& held_by_minute() const { return held_by_minute_; }

 private:
  const core::ServingProfile& profile_;
  double count_from_s_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  double device_s_ = 0;
  int64_t orders_ = 0;
  std::vector<double> held_by_minute_;
};

}  // namespace berth::simulation
