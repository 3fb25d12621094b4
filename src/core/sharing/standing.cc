// Where queues stand to their guarantees and fair shares: what they may take back, what they
// borrow.

#include <algorithm>

#include "core/sharing/entitlement.h"
#include "core/sharing/kinds.h"

namespace berth::core {
namespace {

constexpr double kTolerance = 1e-9;

}  // namespace

std::optional<double> Entitlements::guarantee_ratio(QueueId id, const Shape& shape) const {
  const Quota& quota = guarantees_[id.index()];
  const Usage has = usage_of(state_.queue(id));
  std::optional<double> ratio;
  const auto consider = [&](int64_t used, int64_t guaranteed) {
    const double full =
        guaranteed > 0 ? static_cast<double>(used) / static_cast<double>(guaranteed) : 1;
    ratio = std::max(ratio.value_or(0), full);
  };
  if (const AcceleratorMask kinds = kinds_of(state_, shape); kinds != 0) {
    for (const Quota::Row& row : quota.accelerators)
      if ((row.mask & kinds) != 0) consider(sum_of(has, row.mask), row.milli);
  } else {
    if (quota.cpu_milli >= 0) consider(has.cpu_milli, quota.cpu_milli);
    if (quota.memory_bytes >= 0) consider(has.memory_bytes, quota.memory_bytes);
  }
  return ratio;
}

namespace {

enum class Within { kUnset, kInside, kOutside };

/// Where `has`, of which `part` is some, stands to a guarantee, in what `part` uses. CPU and memory
/// of work with accelerators count only where they are guaranteed too.
Within compare(const Quota& quota, const Usage& has, const Usage& part) {
  bool set = false;
  bool outside = false;
  AcceleratorMask unset = 0;
  for (size_t i = 0; i < kMaxAccelerators; ++i)
    if (part.accelerator_milli[i] > 0) unset |= AcceleratorMask{1} << i;
  const bool accelerated = unset != 0;
  for (const Quota::Row& row : quota.accelerators) {
    AcceleratorMask uses = 0;
    for (size_t i = 0; i < kMaxAccelerators; ++i)
      if (part.accelerator_milli[i] > 0) uses |= AcceleratorMask{1} << i;
    if ((row.mask & uses) == 0) continue;
    set = true;
    unset &= ~row.mask;
    outside |= sum_of(has, row.mask) > row.milli;
  }
  if (part.cpu_milli > 0 && quota.cpu_milli >= 0) {
    set |= !accelerated;
    outside |= has.cpu_milli > quota.cpu_milli;
  }
  if (part.memory_bytes > 0 && quota.memory_bytes >= 0) {
    set |= !accelerated;
    outside |= has.memory_bytes > quota.memory_bytes;
  }
  if (!set) return Within::kUnset;
  return outside || unset != 0 ? Within::kOutside : Within::kInside;
}

}  // namespace

Entitlements::Standing Entitlements::standing(QueueId id, const Usage& extra, bool alone) const {
  const Queue& queue = state_.queue(id);
  Usage has = alone ? Usage{} : usage_of(queue);
  has.cpu_milli += extra.cpu_milli;
  has.memory_bytes += extra.memory_bytes;
  double weighted = 0;
  for (size_t i = 0; i < kMaxAccelerators; ++i)
    has.accelerator_milli[i] += extra.accelerator_milli[i];
  for (size_t i = 0; i < state_.accelerators().size(); ++i)
    weighted += static_cast<double>(has.accelerator_milli[i]) *
                static_cast<double>(state_.accelerators()[i].weight_milli) / 1e6;
  const Within within = compare(guarantees_[id.index()], has, extra);
  if (within == Within::kInside) return Standing::kGuarantee;
  if (within == Within::kOutside && queue.reclaim == Reclaim::kGuarantee) return Standing::kNone;
  const double share = vector_of(has.cpu_milli, has.memory_bytes, weighted).dominant();
  return share <= fair_share(id) + kTolerance ? Standing::kFairShare : Standing::kNone;
}

bool Entitlements::borrows(QueueId id, const Charge& part) const {
  Usage usage;
  add_to(usage, part);
  return compare(guarantees_[id.index()], usage_of(state_.queue(id)), usage) != Within::kInside;
}

Entitlements::Standing Entitlements::best_standing(QueueId id, std::span<const TaskId> tasks,
                                                   bool alone) const {
  const auto with = [&](AcceleratorId kind) {
    Usage usage;
    for (TaskId task : tasks) {
      const Shape& shape = state_.shape_of(task);
      add_to(usage, {shape.request.cpu_milli, shape.request.memory_bytes, kind,
                     kind.valid() ? request_milli(shape) : 0});
    }
    return standing(id, usage, alone);
  };
  const Shape& shape = state_.shape_of(tasks.front());
  if (shape.devices.count == 0) return with({});
  auto best = Standing::kNone;
  for (AcceleratorMask kinds = kinds_of(state_, shape); kinds != 0; kinds &= kinds - 1) {
    const AcceleratorId kind{static_cast<uint8_t>(std::countr_zero(kinds))};
    best = std::max(best, with(kind));
  }
  return best;
}

bool Entitlements::guarantees_non_preemptible(QueueId id, const Charge& extra) const {
  bool set = false;
  Usage part;
  add_to(part, extra);
  for (; id.valid(); id = state_.queue(id).parent) {
    Usage with = state_.queue(id).non_preemptible;
    add_to(with, extra);
    switch (compare(guarantees_[id.index()], with, part)) {
      case Within::kOutside:
        return false;
      case Within::kInside:
        set = true;
        break;
      case Within::kUnset:
        break;
    }
  }
  return set;
}

AcceleratorMask Entitlements::non_preemptible_kinds(QueueId id, const Shape& shape) const {
  Charge extra{shape.request.cpu_milli, shape.request.memory_bytes, {}, 0};
  if (shape.devices.count == 0)
    return guarantees_non_preemptible(id, extra) ? kAllAccelerators : AcceleratorMask{0};
  AcceleratorMask allowed = 0;
  extra.accelerator_milli = request_milli(shape);
  for (AcceleratorMask kinds = kinds_of(state_, shape); kinds != 0; kinds &= kinds - 1) {
    extra.accelerator = {static_cast<uint8_t>(std::countr_zero(kinds))};
    if (guarantees_non_preemptible(id, extra))
      allowed |= AcceleratorMask{1} << extra.accelerator.index();
  }
  return allowed;
}

}  // namespace berth::core
