// What the limits of a queue, and of those above it, leave room for.

#include <algorithm>

#include "core/sharing/entitlement.h"
#include "core/sharing/kinds.h"

namespace berth::core {
namespace {

int64_t held(int64_t used, int64_t releasing, int64_t claimed) {
  return std::max(used, used - releasing + claimed);
}

/// What counts against a limit: what is still held, or what will be once claims are taken up.
int64_t held_sum(const Queue& queue, AcceleratorMask mask) {
  return held(sum_of(queue.used, mask), sum_of(queue.releasing, mask), sum_of(queue.claimed, mask));
}

}  // namespace

AcceleratorMask Entitlements::within_limit(QueueId id, const Shape& shape) const {
  AcceleratorMask mask = kAllAccelerators;
  if (shape.devices.count == 0) return mask;
  for (; id.valid(); id = state_.queue(id).parent)
    for (const Quota::Row& row : state_.queue(id).limit.accelerators)
      if (held_sum(state_.queue(id), row.mask) + request_milli(shape) > row.milli)
        mask &= ~row.mask;
  return mask;
}

bool Entitlements::cpu_and_memory_within_limit(QueueId id, const Shape& shape) const {
  for (; id.valid(); id = state_.queue(id).parent) {
    const Queue& q = state_.queue(id);
    if (q.limit.cpu_milli >= 0 && shape.request.cpu_milli > 0 &&
        held(q.used.cpu_milli, q.releasing.cpu_milli, q.claimed.cpu_milli) +
                shape.request.cpu_milli >
            q.limit.cpu_milli)
      return false;
    if (q.limit.memory_bytes >= 0 && shape.request.memory_bytes > 0 &&
        held(q.used.memory_bytes, q.releasing.memory_bytes, q.claimed.memory_bytes) +
                shape.request.memory_bytes >
            q.limit.memory_bytes)
      return false;
  }
  return true;
}

bool Entitlements::above_limit(QueueId id, const Charge& part) const {
  for (; id.valid(); id = state_.queue(id).parent) {
    const Queue& q = state_.queue(id);
    if (part.cpu_milli > 0 && q.limit.cpu_milli >= 0 &&
        held(q.used.cpu_milli, q.releasing.cpu_milli, q.claimed.cpu_milli) > q.limit.cpu_milli)
      return true;
    if (part.memory_bytes > 0 && q.limit.memory_bytes >= 0 &&
        held(q.used.memory_bytes, q.releasing.memory_bytes, q.claimed.memory_bytes) >
            q.limit.memory_bytes)
      return true;
    if (part.accelerator_milli == 0) continue;
    for (const Quota::Row& row : q.limit.accelerators)
      if ((row.mask >> part.accelerator.index() & 1) && held_sum(q, row.mask) > row.milli)
        return true;
  }
  return false;
}

QueueId Entitlements::never_within_limit(QueueId id, const Shape& shape, uint32_t count) const {
  const AcceleratorMask kinds = kinds_of(state_, shape);
  for (; id.valid(); id = state_.queue(id).parent) {
    const Quota& limit = state_.queue(id).limit;
    if (limit.cpu_milli >= 0 && shape.request.cpu_milli * count > limit.cpu_milli) return id;
    if (limit.memory_bytes >= 0 && shape.request.memory_bytes * count > limit.memory_bytes)
      return id;
    for (const Quota::Row& row : limit.accelerators)
      if (kinds != 0 && (kinds & ~row.mask) == 0 && request_milli(shape) * count > row.milli)
        return id;
  }
  return {};
}

}  // namespace berth::core
