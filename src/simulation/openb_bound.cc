#include "simulation/openb_bound.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "base/text.h"

namespace berth::simulation {
namespace {

using traces::OpenbNode;
using traces::OpenbPod;

constexpr int kWhole = 1000;
constexpr int kRounds = 4000;

/// From the share of a device that is taken to the share that it counts for, in [0, 1].
using DualFeasible = std::function<double(int)>;

/// Shares above 1 - `small` count as a whole device, those below `small` as nothing: where one of
/// the former is, only the latter fit beside it.
DualFeasible round_up_above(int small) {
  return [small](int milli) {
    if (milli > kWhole - small) return 1.0;
    return milli < small ? 0.0 : static_cast<double>(milli) / kWhole;
  };
}

/// Counts whole steps of `step`: those inside the share, and for a share above one half all that do
/// not fit beside it (Carlier, Clautiaux and Moukrim 2007, f2).
DualFeasible count_steps(int step) {
  return [step](int milli) {
    const auto steps = [&](int size) { return size / step / static_cast<double>(kWhole / step); };
    if (2 * milli == kWhole) return 0.5;
    return 2 * milli < kWhole ? steps(milli) : 1 - steps(kWhole - milli);
  };
}

std::vector<DualFeasible> dual_feasible_functions(std::span<const OpenbPod> pods) {
  std::set<int> steps;
  for (const OpenbPod& pod : pods) {
    const int milli = pod.device_milli;
    if (milli > 0 && 2 * milli <= kWhole) steps.insert(milli);
    if (milli < kWhole && 2 * milli > kWhole) steps.insert(kWhole - milli + 1);
  }
  std::vector<DualFeasible> functions{[](int milli) { return milli / double{kWhole}; }};
  // The large steps tell most; a trace has a few dozen sizes.
  for (auto step = steps.rbegin(); step != steps.rend() && functions.size() < 60; ++step) {
    functions.push_back(round_up_above(*step));
    if (*step <= kWhole / 2) functions.push_back(count_steps(*step));
  }
  return functions;
}

/// Demand of each row of the pod table when `percent` of capacity has arrived, mean over these
/// events; where there is none, over the neighbouring percents alike, or at the last before.
std::vector<double> mean_demand(std::span<const OpenbNode> nodes, std::span<const OpenbPod> pods,
                                const traces::OpenbArrivals& arrivals, int percent) {
  int64_t devices = 0;
  for (uint32_t row : arrivals.nodes) devices += nodes[row].devices;
  const double per_device = static_cast<double>(std::max<int64_t>(devices, 1));
  std::map<long, std::vector<size_t>> events;  // by percent: how many pods had arrived
  int64_t arrived = 0;
  for (size_t i = 0; i < arrivals.pods.size(); ++i) {
    arrived += pods[arrivals.pods[i]].total_milli();
    events[std::lround(static_cast<double>(arrived) / per_device / 10)].push_back(i + 1);
  }
  std::vector<long> cells;
  for (const long cell : {long{percent}, long{percent} - 1, long{percent} + 1}) {
    if (events.contains(cell)) cells.push_back(cell);
    if (events.contains(percent)) break;
  }
  if (cells.empty()) {
    const auto after = events.lower_bound(percent);
    if (after != events.begin()) cells.push_back(std::prev(after)->first);
  }
  std::vector<double> weight_at(arrivals.pods.size() + 1);
  for (const long cell : cells) {
    const std::vector<size_t>& at = events[cell];
    for (size_t count : at)
      weight_at[count] += 1.0 / static_cast<double>(at.size()) / static_cast<double>(cells.size());
  }
  std::vector<double> demand(pods.size());
  double later = 0;
  for (size_t i = arrivals.pods.size(); i-- > 0;) {
    later += weight_at[i + 1];
    demand[arrivals.pods[i]] += later;
  }
  return demand;
}

bool accepts(const OpenbPod& pod, const OpenbNode& node) {
  if (pod.cpu_milli > node.cpu_milli || pod.memory_mib > node.memory_mib ||
      pod.devices > node.devices) {
    return false;
  }
  if (pod.models.empty()) return true;
  const auto models = split(pod.models, '|');
  return std::find(models.begin(), models.end(), node.model) != models.end();
}

/// The linear programme, by its Lagrangian: limits of a pool are 1, values parts of the cluster.
class Relaxation {
 public:
  Relaxation(std::span<const OpenbNode> nodes, std::span<const OpenbPod> pods,
             const traces::OpenbArrivals& arrivals, const std::vector<double>& demand) {
    const std::vector<DualFeasible> functions = dual_feasible_functions(pods);
    limits_ = 2 + functions.size();
    std::map<std::tuple<int64_t, int64_t, int, std::string_view>, std::pair<OpenbNode, double>>
        kinds;
    double devices = 0;
    for (uint32_t row : arrivals.nodes) {
      const OpenbNode& node = nodes[row];
      auto& kind = kinds[{node.cpu_milli, node.memory_mib, node.devices, node.model}];
      kind.first = node;
      ++kind.second;
      devices += node.devices;
    }
    for (const auto& [key, kind] : kinds) {
      const double share = kind.first.devices * kind.second / std::max(devices, 1.0);
      pool_value_.push_back(std::max(share, 1e-6));
    }
    std::map<std::tuple<int64_t, int64_t, int, int, std::string_view>, std::pair<size_t, double>>
        shapes;
    for (size_t row = 0; row < pods.size(); ++row) {
      const OpenbPod& pod = pods[row];
      if (demand[row] <= 0 || pod.devices == 0) continue;
      auto& shape =
          shapes[{pod.cpu_milli, pod.memory_mib, pod.devices, pod.device_milli, pod.models}];
      shape.first = row;
      shape.second += demand[row];
    }
    for (const auto& [key, shape] : shapes) {
      const OpenbPod& pod = pods[shape.first];
      Shape entry{shape.second, static_cast<double>(pod.total_milli()) / kWhole / devices, {}};
      size_t pool = 0;
      for (const auto& [kind_key, kind] : kinds) {
        const auto& [node, count] = kind;
        if (accepts(pod, node)) {
          Use use{pool, {}};
          const auto part = [&](double used, double there) {
            use.of_limit.push_back(there > 0 ? used / there / count : 0);
          };
          part(static_cast<double>(pod.cpu_milli), static_cast<double>(node.cpu_milli));
          part(static_cast<double>(pod.memory_mib), static_cast<double>(node.memory_mib));
          for (const DualFeasible& f : functions)
            part(pod.devices * f(pod.device_milli), node.devices);
          entry.uses.push_back(std::move(use));
        }
        ++pool;
      }
      shapes_.push_back(std::move(entry));
    }
  }

  /// Searches prices by gradient steps (Adam) on a smoothed Lagrangian that gets sharper; every
  /// price vector on the way gives a bound, and the least counts.
  double bound() {
    std::vector<double> prices(pool_value_.size() * limits_);
    double best = evaluate(prices, 1);
    for (size_t pool = 0; pool < pool_value_.size(); ++pool) prices[pool * limits_ + 2] = 1;
    std::vector<double> mean(prices.size());
    std::vector<double> square(prices.size());
    for (int round = 0; round < kRounds; ++round) {
      const double progress = static_cast<double>(round) / kRounds;
      best = std::min(best, evaluate(prices, 0.1 * std::pow(0.003, progress)));
      const double step = 0.03 * std::pow(0.003, progress);
      for (size_t i = 0; i < prices.size(); ++i) {
        const double slope = slope_[i] / pool_value_[i / limits_];
        mean[i] = 0.9 * mean[i] + 0.1 * slope;
        square[i] = 0.99 * square[i] + 0.01 * slope * slope;
        prices[i] = std::max(0.0, prices[i] - step * mean[i] / (std::sqrt(square[i]) + 1e-3));
      }
    }
    return best;
  }

 private:
  struct Use {
    size_t pool;
    std::vector<double> of_limit;
  };
  struct Shape {
    double demand;
    double value;
    std::vector<Use> uses;
  };

  /// The bound at these prices (in units of the pool's value). Leaves a gradient in `slope_`,
  /// smoothed: a pod chooses among its pools, and not to run, by a softmax of the gain as a part of
  /// its value.
  double evaluate(const std::vector<double>& prices, double temperature) {
    slope_.resize(prices.size());
    double sum = 0;
    for (size_t i = 0; i < prices.size(); ++i) {
      slope_[i] = pool_value_[i / limits_];
      sum += slope_[i] * prices[i];
    }
    for (const Shape& shape : shapes_) {
      gains_.clear();
      double most = 0;
      for (const Use& use : shape.uses) {
        double cost = 0;
        const double* price = &prices[use.pool * limits_];
        for (size_t limit = 0; limit < limits_; ++limit) cost += price[limit] * use.of_limit[limit];
        gains_.push_back(shape.value - cost * pool_value_[use.pool]);
        most = std::max(most, gains_.back());
      }
      sum += shape.demand * most;
      double weights = std::exp(-most / shape.value / temperature);
      for (double& gain : gains_)
        weights += gain = std::exp((gain - most) / shape.value / temperature);
      for (size_t i = 0; i < gains_.size(); ++i) {
        const Use& use = shape.uses[i];
        const double taken = shape.demand * gains_[i] / weights * pool_value_[use.pool];
        if (taken < 1e-12) continue;
        for (size_t limit = 0; limit < limits_; ++limit)
          slope_[use.pool * limits_ + limit] -= taken * use.of_limit[limit];
      }
    }
    return sum;
  }

  std::vector<double> gains_;
  size_t limits_ = 0;
  std::vector<double> pool_value_;
  std::vector<Shape> shapes_;
  std::vector<double> slope_;
};

}  // namespace

double openb_upper_bound_percent(std::span<const OpenbNode> nodes, std::span<const OpenbPod> pods,
                                 const traces::OpenbArrivals& arrivals, int percent) {
  const std::vector<double> demand = mean_demand(nodes, pods, arrivals, percent);
  return 100 * Relaxation(nodes, pods, arrivals, demand).bound();
}

}  // namespace berth::simulation
