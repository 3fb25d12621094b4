#include "core/sharing/entitlement.h"

#include <algorithm>
#include <cmath>

namespace berth::core {
namespace {

/// However much it used, a queue keeps a 64th of its weight.
constexpr double kMostHalvings = 6;

/// amount * numerator / denominator for amounts of bytes.
int64_t scaled(int64_t amount, int64_t numerator, int64_t denominator) {
  return static_cast<int64_t>(static_cast<double>(amount) * static_cast<double>(numerator) /
                              static_cast<double>(denominator));
}

}  // namespace

Usage usage_of(const Queue& queue) {
  Usage usage = queue.used;
  usage.cpu_milli += queue.claimed.cpu_milli - queue.releasing.cpu_milli;
  usage.memory_bytes += queue.claimed.memory_bytes - queue.releasing.memory_bytes;
  for (size_t i = 0; i < kMaxAccelerators; ++i)
    usage.accelerator_milli[i] +=
        queue.claimed.accelerator_milli[i] - queue.releasing.accelerator_milli[i];
  return usage;
}

int64_t sum_of(const Usage& usage, AcceleratorMask mask) {
  int64_t sum = 0;
  for (; mask != 0; mask &= mask - 1)
    sum += usage.accelerator_milli[static_cast<size_t>(std::countr_zero(mask))];
  return sum;
}

void add_to(Usage& usage, const Charge& charge) {
  usage.cpu_milli += charge.cpu_milli;
  usage.memory_bytes += charge.memory_bytes;
  if (charge.accelerator.valid())
    usage.accelerator_milli[charge.accelerator.index()] += charge.accelerator_milli;
}

Entitlements::Entitlements(const State& state)
    : state_(state),
      guarantees_(state.queues().size()),
      fair_(state.queues().size(), 0),
      weights_(state.queues().size(), 1) {
  for (size_t i = 0; i < state.accelerators().size(); ++i) {
    const auto count = static_cast<double>(state.capacity().accelerator_milli[i]) / 1000;
    const auto weight = static_cast<double>(state.accelerators()[i].weight_milli) / 1000;
    weighted_capacity_ += count * weight;
    if (count > 0) heaviest_ = std::max(heaviest_, weight);
  }

  for (size_t i = 0; i < state.queues().size(); ++i) {
    const Queue& queue = state.queues()[i];
    guarantees_[i] = queue.guaranteed;
    if (queue.alive && !queue.parent.valid()) roots_.push_back(QueueId{static_cast<uint32_t>(i)});
  }
  std::sort(roots_.begin(), roots_.end(),
            [&](QueueId a, QueueId b) { return state.queue(a).name < state.queue(b).name; });
  weigh(roots_);
  for (QueueId root : roots_) imply_guarantees(root);
  scale_guarantees(roots_, {});
  ShareVector whole;
  whole.of.fill(1);
  divide(roots_, whole);
}

// --- weights ---

void Entitlements::weigh(std::span<const QueueId> siblings) {
  double weights = 0;
  double decayed = 0;
  for (QueueId id : siblings) {
    weights_[id.index()] = static_cast<double>(state_.queue(id).weight_milli) / 1000;
    weights += weights_[id.index()];
    decayed += static_cast<double>(state_.queue(id).decayed);
  }
  for (QueueId id : siblings) {
    if (decayed > 0 && state_.policy().usage_half_life.ns > 0) {
      double& weight = weights_[id.index()];
      const double used = static_cast<double>(state_.queue(id).decayed) / decayed;
      weight *= std::exp2(-std::min(kMostHalvings, used / (weight / weights)));
    }
    weigh(state_.queue(id).children);
  }
}

// --- guarantees ---

// A parent guarantees at least what its children are guaranteed together.
void Entitlements::imply_guarantees(QueueId id) {
  Quota sum;
  for (QueueId child : state_.queue(id).children) {
    imply_guarantees(child);
    const Quota& part = guarantees_[child.index()];
    if (part.cpu_milli >= 0) sum.cpu_milli = std::max<int64_t>(sum.cpu_milli, 0) + part.cpu_milli;
    if (part.memory_bytes >= 0)
      sum.memory_bytes = std::max<int64_t>(sum.memory_bytes, 0) + part.memory_bytes;
    for (const Quota::Row& row : part.accelerators) {
      const auto same = std::find_if(sum.accelerators.begin(), sum.accelerators.end(),
                                     [&](const Quota::Row& r) { return r.mask == row.mask; });
      if (same == sum.accelerators.end())
        sum.accelerators.push_back(row);
      else
        same->milli += row.milli;
    }
  }
  Quota& own = guarantees_[id.index()];
  if (own.cpu_milli < 0) own.cpu_milli = sum.cpu_milli;
  if (own.memory_bytes < 0) own.memory_bytes = sum.memory_bytes;
  for (const Quota::Row& row : sum.accelerators) {
    const bool covered =
        std::any_of(own.accelerators.begin(), own.accelerators.end(),
                    [&](const Quota::Row& r) { return (row.mask & ~r.mask) == 0; });
    if (!covered) own.accelerators.push_back(row);
  }
}

// Pro rata: where the rows inside a set of kinds add up to more than there is of that set.
void Entitlements::scale_guarantees(std::span<const QueueId> siblings, QueueId parent) {
  const auto shrink = [&](int64_t Quota::* field, int64_t there) {
    int64_t sum = 0;
    for (QueueId id : siblings) sum += std::max<int64_t>(0, guarantees_[id.index()].*field);
    if (sum <= there) return;
    for (QueueId id : siblings) {
      int64_t& amount = guarantees_[id.index()].*field;
      if (amount > 0) amount = scaled(amount, there, sum);
    }
  };
  const Quota* bound = parent.valid() ? &guarantees_[parent.index()] : nullptr;
  if (bound == nullptr || bound->cpu_milli >= 0)
    shrink(&Quota::cpu_milli, bound ? bound->cpu_milli : state_.capacity().cpu_milli);
  if (bound == nullptr || bound->memory_bytes >= 0)
    shrink(&Quota::memory_bytes, bound ? bound->memory_bytes : state_.capacity().memory_bytes);

  std::vector<AcceleratorMask> sets;
  for (QueueId id : siblings)
    for (const Quota::Row& row : guarantees_[id.index()].accelerators)
      if (std::find(sets.begin(), sets.end(), row.mask) == sets.end()) sets.push_back(row.mask);
  // Small sets first: what is scaled there counts scaled in the larger ones.
  std::sort(sets.begin(), sets.end(), [](AcceleratorMask a, AcceleratorMask b) {
    return std::pair(std::popcount(a), a) < std::pair(std::popcount(b), b);
  });
  for (AcceleratorMask set : sets) {
    int64_t there = sum_of(state_.capacity(), set);
    if (bound != nullptr)
      for (const Quota::Row& row : bound->accelerators)
        if ((set & ~row.mask) == 0) there = std::min(there, row.milli);
    // A queue's own rows nest: one that lies inside another counts only there.
    int64_t sum = 0;
    for (QueueId id : siblings) {
      const auto& rows = guarantees_[id.index()].accelerators;
      for (const Quota::Row& row : rows) {
        if ((row.mask & ~set) != 0) continue;
        const bool nested = std::any_of(rows.begin(), rows.end(), [&](const Quota::Row& outer) {
          return outer.mask != row.mask && (row.mask & ~outer.mask) == 0 &&
                 (outer.mask & ~set) == 0;
        });
        if (!nested) sum += row.milli;
      }
    }
    if (sum <= there) continue;
    for (QueueId id : siblings)
      for (Quota::Row& row : guarantees_[id.index()].accelerators)
        if ((row.mask & ~set) == 0) row.milli = scaled(row.milli, there, sum);
  }
  for (QueueId id : siblings) scale_guarantees(state_.queue(id).children, id);
}

// --- fair shares ---

ShareVector Entitlements::vector_of(int64_t cpu, int64_t memory, double weighted_devices) const {
  ShareVector vector;
  const Usage& there = state_.capacity();
  // What the cluster has none of has no share.
  if (there.cpu_milli > 0)
    vector.of[kShareCpu] = static_cast<double>(cpu) / static_cast<double>(there.cpu_milli);
  if (there.memory_bytes > 0)
    vector.of[kShareMemory] = static_cast<double>(memory) / static_cast<double>(there.memory_bytes);
  if (weighted_capacity_ > 0) vector.of[kShareAccelerators] = weighted_devices / weighted_capacity_;
  return vector;
}

ShareVector Entitlements::share(QueueId id) const {
  const Usage has = usage_of(state_.queue(id));
  double weighted = 0;
  for (size_t i = 0; i < state_.accelerators().size(); ++i)
    weighted += static_cast<double>(has.accelerator_milli[i]) *
                static_cast<double>(state_.accelerators()[i].weight_milli) / 1e6;
  return vector_of(has.cpu_milli, has.memory_bytes, weighted);
}

ShareVector Entitlements::demand_of(QueueId id) const {
  const Queue& queue = state_.queue(id);
  ShareVector demand = share(id);
  const ShareVector pending =
      vector_of(queue.pending_cpu_milli, queue.pending_memory_bytes,
                static_cast<double>(queue.pending_device_milli) / 1000 * heaviest_);
  // What is claimed is pending too.
  const ShareVector claimed = [&] {
    double weighted = 0;
    for (size_t i = 0; i < state_.accelerators().size(); ++i)
      weighted += static_cast<double>(queue.claimed.accelerator_milli[i]) *
                  static_cast<double>(state_.accelerators()[i].weight_milli) / 1e6;
    return vector_of(queue.claimed.cpu_milli, queue.claimed.memory_bytes, weighted);
  }();
  ShareVector most;
  most.of.fill(1);
  if (queue.limit.cpu_milli >= 0)
    most.of[kShareCpu] = vector_of(queue.limit.cpu_milli, 0, 0).of[kShareCpu];
  if (queue.limit.memory_bytes >= 0)
    most.of[kShareMemory] = vector_of(0, queue.limit.memory_bytes, 0).of[kShareMemory];
  for (const Quota::Row& row : queue.limit.accelerators) {
    const AcceleratorMask others = ~row.mask;
    // A limit on some kinds bounds the whole only together with all there is of the rest.
    double weighted = 0;
    double heaviest = 0;
    for (size_t i = 0; i < state_.accelerators().size(); ++i) {
      const double weight = static_cast<double>(state_.accelerators()[i].weight_milli) / 1000;
      if (others >> i & 1)
        weighted += static_cast<double>(state_.capacity().accelerator_milli[i]) / 1000 * weight;
      else
        heaviest = std::max(heaviest, weight);
    }
    weighted += static_cast<double>(row.milli) / 1000 * heaviest;
    most.of[kShareAccelerators] =
        std::min(most.of[kShareAccelerators], vector_of(0, 0, weighted).of[kShareAccelerators]);
  }
  for (size_t r = 0; r < kShareDimensions; ++r)
    demand.of[r] =
        std::min(most.of[r], demand.of[r] + std::max(0.0, pending.of[r] - claimed.of[r]));
  return demand;
}

double Entitlements::floor_of(QueueId id, const ShareVector& demand) const {
  const Quota& quota = guarantees_[id.index()];
  double weighted = 0;
  AcceleratorMask counted = 0;
  for (const Quota::Row& row : quota.accelerators) {
    const bool nested = std::any_of(
        quota.accelerators.begin(), quota.accelerators.end(), [&](const Quota::Row& outer) {
          return outer.mask != row.mask && (row.mask & ~outer.mask) == 0;
        });
    if (nested || (counted & row.mask) != 0) continue;
    counted |= row.mask;
    double weight = 0;  // the mean of the set
    double devices = 0;
    for (size_t i = 0; i < state_.accelerators().size(); ++i) {
      if (!(row.mask >> i & 1)) continue;
      const auto count = static_cast<double>(state_.capacity().accelerator_milli[i]);
      devices += count;
      weight += count * static_cast<double>(state_.accelerators()[i].weight_milli) / 1000;
    }
    if (devices > 0) weighted += static_cast<double>(row.milli) / 1000 * weight / devices;
  }
  const ShareVector set = vector_of(std::max<int64_t>(0, quota.cpu_milli),
                                    std::max<int64_t>(0, quota.memory_bytes), weighted);
  double floor = 0;
  for (size_t r = 0; r < kShareDimensions; ++r)
    floor = std::max(floor, std::min(set.of[r], demand.of[r]));
  return floor;
}

void Entitlements::divide(std::span<const QueueId> siblings, const ShareVector& capacity) {
  std::vector<Claimant> claimants;
  for (QueueId id : siblings) {
    const ShareVector demand = demand_of(id);
    claimants.push_back({demand, floor_of(id, demand), weight(id)});
  }
  const std::vector<double> shares = fair_shares(claimants, capacity);
  for (size_t i = 0; i < siblings.size(); ++i) {
    fair_[siblings[i].index()] = shares[i];
    // The children divide what their parent's share buys in the proportions of its demand.
    ShareVector inner = claimants[i].demand;
    const double dominant = inner.dominant();
    for (double& fraction : inner.of) fraction *= dominant > 0 ? shares[i] / dominant : 0;
    divide(state_.queue(siblings[i]).children, inner);
  }
}

double Entitlements::excess(QueueId id) const {
  return share(id).dominant() - fair_share(id);
}

std::pair<QueueId, QueueId> Entitlements::below_common_ancestor(QueueId a, QueueId b) const {
  const auto depth = [&](QueueId id) { return state_.queue(id).depth; };
  while (depth(a) > depth(b)) a = state_.queue(a).parent;
  while (depth(b) > depth(a)) b = state_.queue(b).parent;
  while (a != b && state_.queue(a).parent != state_.queue(b).parent) {
    a = state_.queue(a).parent;
    b = state_.queue(b).parent;
  }
  return {a, b};
}

}  // namespace berth::core
