#include "core/placement/scorers/expected_use.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace berth::core {
namespace {

constexpr double kCpuWeight = 0.2;
constexpr double kTieMilli = 20;

/// Confined demand over supply, by model.
std::vector<double> scarcity_prices(const TypicalMix& mix, std::span<const int64_t> supply) {
  std::vector<double> prices(kMaxAccelerators, 0);
  double demand = 0;
  double devices = 0;
  for (const TypicalMix::Entry& entry : mix.entries()) {
    demand += static_cast<double>(entry.count * entry.request.total_milli());
  }
  for (int64_t of_model : supply) devices += static_cast<double>(of_model);
  for (const TypicalMix::Entry& entry : mix.entries()) {
    double allowed = 0;
    for (size_t model = 0; model < supply.size(); ++model) {
      if (entry.request.models >> model & 1) allowed += static_cast<double>(supply[model]);
    }
    if (allowed == 0 || entry.request.devices == 0) continue;
    const double share =
        static_cast<double>(entry.count * entry.request.total_milli()) / demand * devices / allowed;
    for (size_t model = 0; model < supply.size(); ++model) {
      if (entry.request.models >> model & 1) prices[model] += share;
    }
  }
  double lowest = std::numeric_limits<double>::infinity();
  for (size_t model = 0; model < supply.size(); ++model) {
    if (supply[model] > 0) lowest = std::min(lowest, prices[model]);
  }
  for (double& price : prices) price = std::isfinite(lowest) ? std::max(0.0, price - lowest) : 0;
  return prices;
}

}  // namespace

ExpectedUseScorer::ExpectedUseScorer(const TypicalMix& mix, std::span<const int64_t> supply)
    : groups_(kMaxAccelerators), prices_(scarcity_prices(mix, supply)) {
  double total = 0;
  for (const TypicalMix::Entry& entry : mix.entries()) {
    if (entry.request.devices > 0) total += static_cast<double>(entry.count);
  }
  std::vector<TypicalMix::Entry> by_cpu(mix.entries().begin(), mix.entries().end());
  std::stable_sort(by_cpu.begin(), by_cpu.end(), [](const auto& a, const auto& b) {
    return a.request.cpu_milli < b.request.cpu_milli;
  });
  for (const TypicalMix::Entry& entry : by_cpu) {
    if (entry.request.devices == 0) continue;
    for (size_t model = 0; model < groups_.size(); ++model) {
      if (entry.request.models >> model & 1) add(entry, model);
    }
  }
  for (auto& groups : groups_) {
    for (Group& group : groups) {
      for (double& sum : group.weight) sum /= total;
      for (double& sum : group.weight_per_cpu) sum /= total;
    }
  }
}

void ExpectedUseScorer::add(const TypicalMix::Entry& entry, size_t model) {
  const Request& r = entry.request;
  auto& groups = groups_[model];
  auto at = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
    return group.devices == r.devices && group.milli == r.device_milli;
  });
  if (at == groups.end()) {
    groups.push_back({r.devices, r.device_milli, {}, {0}, {0}});
    at = groups.end() - 1;
  }
  const double weight = static_cast<double>(entry.count);
  at->cpu.push_back(r.cpu_milli);
  at->weight.push_back(at->weight.back() + weight);
  at->weight_per_cpu.push_back(at->weight_per_cpu.back() +
                               weight / static_cast<double>(std::max<int64_t>(r.cpu_milli, 1)));
}

double ExpectedUseScorer::loss(int model, int64_t cpu_milli, std::span<const int16_t> left) const {
  int idle = 0;
  for (int16_t free : left) idle += free;
  double use = 0;
  for (const Group& group : groups_[static_cast<size_t>(model)]) {
    int fitting = 0;
    int usable = 0;
    int slots = 0;
    for (int16_t free : left) {
      if (free < group.milli) continue;
      ++fitting;
      usable += free;
      if (group.milli < kWholeDevice) slots += free / group.milli;
    }
    if (group.milli == kWholeDevice) slots = fitting / group.devices;
    if (slots == 0) continue;
    // Requests of at most this CPU fill all slots; those of at most all CPU, some.
    const auto position = [&](int64_t cpu) {
      return static_cast<size_t>(std::upper_bound(group.cpu.begin(), group.cpu.end(), cpu) -
                                 group.cpu.begin());
    };
    const size_t some = position(cpu_milli);
    if (some == 0) continue;
    const size_t all = position(cpu_milli / slots);
    const double fed = static_cast<double>(cpu_milli) / slots *
                       (group.weight_per_cpu[some] - group.weight_per_cpu[all]);
    use +=
        usable * (group.weight[all] + (1 - kCpuWeight) * (group.weight[some] - group.weight[all]) +
                  kCpuWeight * fed);
  }
  return idle - use;
}

double ExpectedUseScorer::memo_loss(int model, int64_t cpu_milli, uint64_t key,
                                    std::span<const int16_t> left) {
  return memo_.get(model, cpu_milli, key, [&] { return loss(model, cpu_milli, left); });
}

ExpectedUseScorer::Choice ExpectedUseScorer::best_share(const Fleet& fleet, uint32_t node,
                                                        const Request& request) {
  const Fleet::Node& at = fleet.node(node);
  const auto free = fleet.left(node);
  std::array<int16_t, kMaxDevicesPerNode> left;
  std::copy(free.begin(), free.end(), left.begin());
  const uint64_t key = memo_.devices_key(free);
  Choice best{std::numeric_limits<double>::infinity(), 0};
  for (size_t d = 0; d < free.size(); ++d) {
    if (free[d] < request.device_milli) continue;
    const auto before = free.begin() + static_cast<ptrdiff_t>(d);
    if (std::find(free.begin(), before, free[d]) != before) continue;
    left[d] = static_cast<int16_t>(free[d] - request.device_milli);
    const double after = memo_loss(at.model, at.cpu_milli - request.cpu_milli,
                                   memo_.moved(key, free[d], left[d]), {left.data(), free.size()});
    left[d] = free[d];
    if (after < best.loss - 1e-9) best = {after, d};
  }
  return best;
}

int32_t ExpectedUseScorer::score(const Fleet& fleet, uint32_t node, const Request& request) {
  const Fleet::Node& at = fleet.node(node);
  const auto free = fleet.left(node);
  const uint64_t key = memo_.devices_key(free);
  const double before = memo_loss(at.model, at.cpu_milli, key, free);
  double after = 0;
  if (request.shares_device()) {
    after = best_share(fleet, node, request).loss;
  } else {
    std::array<int16_t, kMaxDevicesPerNode> left;
    std::copy(free.begin(), free.end(), left.begin());
    uint64_t key_after = key;
    for_each_device(lowest_free_devices(free, request.devices), [&](size_t d) {
      left[d] = 0;
      key_after = memo_.moved(key_after, kWholeDevice, 0);
    });
    after = memo_loss(at.model, at.cpu_milli - request.cpu_milli, key_after,
                      {left.data(), free.size()});
  }
  const double gain = before - after - price(at.model) * static_cast<double>(request.total_milli());
  return static_cast<int32_t>(std::floor(gain / kTieMilli + 0.5));
}

DeviceSet ExpectedUseScorer::choose_devices(const Fleet& fleet, uint32_t node,
                                            const Request& request) {
  if (!request.shares_device()) return Scorer::choose_devices(fleet, node, request);
  return device_bit(best_share(fleet, node, request).device);
}

}  // namespace berth::core
