// What is remembered of the past: how long work took, and what queues borrowed, decayed. The latter
// in integers, so that a sum kept in an object and one kept here go on alike.

#include <algorithm>

#include "core/model/undo.h"

namespace berth::core {
namespace {

/// Decay goes in steps of a half-life's 64th part, at multiples of it since the epoch.
constexpr int64_t kStepsPerHalfLife = 64;
/// 2^(-1/64), as a fraction of 2^30.
constexpr int kFactorBits = 30;
constexpr int64_t kStepFactor = 1'062'175'491;
/// After so many steps less than a millionth of a millionth is left.
constexpr int64_t kForgotten = 40 * kStepsPerHalfLife;
constexpr int64_t kMillion = 1'000'000;

int64_t decayed_by(int64_t amount, int64_t steps) {
  if (steps >= kForgotten) return 0;
  for (; steps > 0; --steps)
    amount = (amount >> kFactorBits) * kStepFactor +
             ((amount & ((int64_t{1} << kFactorBits) - 1)) * kStepFactor >> kFactorBits);
  return amount;
}

int64_t sum_of(const Usage& usage, AcceleratorMask mask) {
  int64_t sum = 0;
  for (size_t i = 0; i < kMaxAccelerators; ++i)
    if (mask >> i & 1) sum += usage.accelerator_milli[i];
  return sum;
}

int64_t millionths(int64_t part, int64_t whole) {
  if (whole <= 0 || part <= 0) return 0;
  return static_cast<int64_t>(static_cast<double>(part) / static_cast<double>(whole) * kMillion);
}

/// What of its accelerators is outside its guarantee.
int64_t borrowed_accelerators(const Queue& queue) {
  int64_t covered = 0;
  AcceleratorMask counted = 0;
  for (const Quota::Row& row : queue.guaranteed.accelerators) {
    const AcceleratorMask fresh = row.mask & ~counted;
    covered += std::min(row.milli, sum_of(queue.used, fresh));
    counted |= row.mask;
  }
  return sum_of(queue.used, kAllAccelerators) - covered;
}

}  // namespace

void State::accrue_usage(Time until) {
  const Duration step = policy_.usage_half_life / kStepsPerHalfLife;
  if (step.ns <= 0) return;
  const int64_t steps = until.ns / step.ns - now_.ns / step.ns;
  const int64_t milliseconds = until.ns / 1'000'000 - now_.ns / 1'000'000;
  for (Queue& queue : queues_) {
    if (!queue.alive) continue;
    int64_t borrowed = 0;
    if (sum_of(queue.used, kAllAccelerators) > 0) {
      borrowed = millionths(borrowed_accelerators(queue), sum_of(capacity_, kAllAccelerators));
    } else {
      const auto outside = [](int64_t used, int64_t guaranteed) {
        return used - std::max<int64_t>(0, guaranteed);
      };
      borrowed =
          std::max(millionths(outside(queue.used.cpu_milli, queue.guaranteed.cpu_milli),
                              capacity_.cpu_milli),
                   millionths(outside(queue.used.memory_bytes, queue.guaranteed.memory_bytes),
                              capacity_.memory_bytes));
    }
    // What is used now counts from the end of the time that has passed: no longer than a step ago,
    // it is hardly decayed; longer ago, it reaches a balance.
    queue.decayed = decayed_by(queue.decayed, steps);
    const int64_t whole_steps = std::min(steps, kForgotten);
    if (whole_steps == 0) {
      queue.decayed += borrowed * milliseconds;
      continue;
    }
    const int64_t each = borrowed * milliseconds / std::max<int64_t>(1, steps);
    int64_t part = each;
    for (int64_t i = 0; i < whole_steps; ++i) {
      queue.decayed += part;
      part = decayed_by(part, 1);
    }
  }
}

void State::on(const QueueUsage& event) {
  const QueueId id = find_queue(event.queue);
  if (!id.valid()) return;
  const Duration step = policy_.usage_half_life / kStepsPerHalfLife;
  const int64_t steps =
      step.ns <= 0 ? 0 : std::max<int64_t>(0, now_.ns / step.ns - event.as_of.ns / step.ns);
  queues_[id.index()].decayed = decayed_by(std::max<int64_t>(0, event.decayed), steps);
}

void State::on(const OwnerDurations& event) {
  for (int64_t each : event.milliseconds)
    durations_.add(event.owner, event.queue, Duration::milliseconds(each));
}

}  // namespace berth::core
