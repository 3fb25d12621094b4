#include "core/sharing/entitlement.h"

#include <algorithm>

namespace berth::core {
namespace {

constexpr double kTolerance = 1e-9;

int64_t held(int64_t used, int64_t releasing, int64_t claimed) {
  return std::max(used, used - releasing + claimed);
}

/// What counts against a limit: what is still held, or what will be once claims are taken up.
int64_t held_sum(const Queue& queue, AcceleratorMask mask) {
  return held(sum_of(queue.used, mask), sum_of(queue.releasing, mask), sum_of(queue.claimed, mask));
}

/// amount * numerator / denominator for amounts of bytes.
int64_t scaled(int64_t amount, int64_t numerator, int64_t denominator) {
  return static_cast<int64_t>(static_cast<double>(amount) * static_cast<double>(numerator) /
                              static_cast<double>(denominator));
}

/// The kinds that tasks of this shape may run on, of those that there are now: what a node that is
/// gone once had must not make a difference.
AcceleratorMask kinds_of(const State& state, const Shape& shape) {
  AcceleratorMask mask = 0;
  if (shape.devices.count == 0) return mask;
  const auto& models = shape.devices.models;
  for (size_t i = 0; i < state.accelerators().size(); ++i) {
    const Accelerator& kind = state.accelerators()[i];
    if (kind.resource == shape.devices.resource && state.capacity().accelerator_milli[i] > 0 &&
        (models.empty() || std::find(models.begin(), models.end(), kind.name) != models.end()))
      mask |= AcceleratorMask{1} << i;
  }
  return mask;
}

int64_t request_milli(const Shape& shape) {
  return int64_t{shape.devices.count} * (shape.devices.milli == 0 ? 1 : shape.devices.milli);
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
    : state_(state), guarantees_(state.queues().size()), fair_(state.queues().size(), 0) {
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
  for (QueueId root : roots_) imply_guarantees(root);
  scale_guarantees(roots_, {});
  ShareVector whole;
  whole.of.fill(1);
  divide(roots_, whole);
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
    claimants.push_back(
        {demand, floor_of(id, demand), static_cast<double>(state_.queue(id).weight_milli) / 1000});
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

// --- claims on others ---

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

// --- limits ---

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
