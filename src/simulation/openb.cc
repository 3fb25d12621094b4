#include "simulation/openb.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "base/rng.h"
#include "base/text.h"
#include "core/placement/candidate_index.h"
#include "core/placement/fragmentation.h"
#include "core/placement/policies/policy.h"

namespace berth::simulation {
namespace {

using core::Fleet;
using core::Request;
using traces::OpenbNode;
using traces::OpenbPod;

constexpr int64_t kMib = 1 << 20;
constexpr int kTypicalSharePercent = 95;
constexpr int kBroadSharePercent = 98;

/// The tables with models and sets of models as numbers.
struct Workload {
  std::vector<int> node_models;
  std::vector<Request> requests;
};

Result<Workload> compile(std::span<const OpenbNode> nodes, std::span<const OpenbPod> pods) {
  std::map<std::string_view, int> models;
  Workload workload;
  for (const OpenbNode& node : nodes) {
    const int next = static_cast<int>(models.size());
    workload.node_models.push_back(models.emplace(node.model, next).first->second);
  }
  if (models.size() > core::kMaxAccelerators) {
    return fail(ErrorCode::kInvalid, fmt::format("{} GPU models among the nodes", models.size()),
                "", fmt::format("at most {} are told apart", core::kMaxAccelerators));
  }
  std::map<std::string_view, uint32_t> filters;
  for (const OpenbPod& pod : pods) filters.emplace(pod.models, 0);
  uint32_t rank = 0;
  for (auto& [text, filter] : filters) filter = text.empty() ? 0 : ++rank;
  for (const OpenbPod& pod : pods) {
    Request request{pod.cpu_milli, pod.memory_mib * kMib, static_cast<int16_t>(pod.devices),
                    static_cast<int16_t>(pod.device_milli)};
    if (!pod.models.empty()) {
      request.models = 0;
      for (std::string_view name : split(pod.models, '|')) {
        const auto at = models.find(name);
        if (at != models.end()) request.models |= core::AcceleratorMask{1} << at->second;
      }
      request.filter = filters.at(pod.models);
    }
    workload.requests.push_back(request);
  }
  return workload;
}

Fleet build_fleet(std::span<const OpenbNode> nodes, const Workload& workload,
                  const traces::OpenbArrivals& arrivals) {
  Fleet fleet;
  for (uint32_t row : arrivals.nodes) {
    const OpenbNode& node = nodes[row];
    fleet.add_node(node.cpu_milli, node.memory_mib * kMib, node.devices, workload.node_models[row]);
  }
  return fleet;
}

struct Choice {
  uint32_t node;
  core::DeviceSet devices = 0;
};

/// Chooses a node for one request after the other.
class Chooser {
 public:
  Chooser(const Fleet& fleet, std::unique_ptr<core::Scorer> scorer, bool plain_scan, uint64_t seed)
      : fleet_(fleet), scorer_(std::move(scorer)), plain_scan_(plain_scan), rng_(seed) {
    if (scorer_ && !plain_scan_) index_.emplace(fleet_, *scorer_);
  }

  std::optional<Choice> choose(const Request& request) {
    if (!scorer_) return draw(request);
    const std::optional<uint32_t> node =
        index_ ? index_->best(request) : core::best_by_scan(fleet_, *scorer_, request);
    if (!node) return std::nullopt;
    return Choice{*node, scorer_->choose_devices(fleet_, *node, request)};
  }

  uint64_t index_bytes() const { return index_ ? index_->memory_bytes() : 0; }

 private:
  /// Uniform over the nodes that fit: draws until one does, and looks at all of them where that
  /// takes long.
  std::optional<Choice> draw(const Request& request) {
    for (int attempt = 0; attempt < 32; ++attempt) {
      const auto n = static_cast<uint32_t>(rng_.below(fleet_.size()));
      if (fleet_.fits(n, request)) return Choice{n, draw_devices(n, request)};
    }
    fitting_.clear();
    for (uint32_t n = 0; n < fleet_.size(); ++n) {
      if (fleet_.fits(n, request)) fitting_.push_back(n);
    }
    if (fitting_.empty()) return std::nullopt;
    const uint32_t n = fitting_[rng_.below(fitting_.size())];
    return Choice{n, draw_devices(n, request)};
  }

  core::DeviceSet draw_devices(uint32_t n, const Request& request) {
    core::DeviceSet devices = 0;
    const auto left = fleet_.left(n);
    int wanted = request.devices;
    auto fitting = std::count_if(left.begin(), left.end(),
                                 [&](int16_t free) { return free >= request.device_milli; });
    for (size_t d = 0; d < left.size() && wanted > 0; ++d) {
      if (left[d] < request.device_milli) continue;
      if (rng_.below(static_cast<uint64_t>(fitting--)) < static_cast<uint64_t>(wanted)) {
        devices |= core::device_bit(d);
        --wanted;
      }
    }
    return devices;
  }

  const Fleet& fleet_;
  std::unique_ptr<core::Scorer> scorer_;
  bool plain_scan_;
  std::optional<core::CandidateIndex> index_;
  Rng rng_;
  std::vector<uint32_t> fitting_;
};

/// A row of the published tables: the mean over the events of each whole percent of arrived demand.
class PercentRow {
 public:
  void add(size_t percent, double value) {
    if (percent >= sums_.size()) return;
    sums_[percent] += value;
    ++counts_[percent];
  }
  /// Two decimals; a cell without events is the mean of its neighbours, or, in small traces,
  /// what held at the last event before.
  double cell(size_t percent) const {
    if (counts_[percent] > 0) return hundredths(mean(percent));
    double sum = 0;
    int neighbours = 0;
    for (size_t near : {percent - 1, percent + 1}) {
      if (near >= sums_.size() || counts_[near] == 0) continue;
      sum += mean(near);
      ++neighbours;
    }
    if (neighbours > 0) return hundredths(sum / neighbours);
    while (percent > 0 && counts_[percent] == 0) --percent;
    return counts_[percent] > 0 ? hundredths(mean(percent)) : 0;
  }

 private:
  double mean(size_t percent) const { return sums_[percent] / counts_[percent]; }
  static double hundredths(double value) { return std::round(value * 100) / 100; }

  std::array<double, 132> sums_{};
  std::array<int, 132> counts_{};
};

/// Follows the placements once more, with the stop-watch off, and reads the figures.
void measure(const OpenbRun& run, const Workload& workload, const core::TypicalMix& mix,
             OpenbResult& result) {
  Fleet fleet = build_fleet(run.nodes, workload, run.arrivals);
  std::vector<uint32_t> position(run.nodes.size());
  int64_t devices = 0;
  for (uint32_t i = 0; i < run.arrivals.nodes.size(); ++i) {
    position[run.arrivals.nodes[i]] = i;
    devices += run.nodes[run.arrivals.nodes[i]].devices;
  }
  const core::FragmentationMeter meter(mix);
  const auto fragmented = [&](uint32_t n) {
    const Fleet::Node& node = fleet.node(n);
    return meter.fragmented(node.model, node.cpu_milli, fleet.left(n));
  };
  int64_t cluster_fragmented = 0;
  for (uint32_t n = 0; n < fleet.size(); ++n) cluster_fragmented += fragmented(n);

  PercentRow allocated_row;
  PercentRow fragmented_row;
  int64_t arrived = 0;
  int64_t used = 0;
  const double per_device = static_cast<double>(std::max<int64_t>(devices, 1));
  for (size_t i = 0; i < run.arrivals.pods.size(); ++i) {
    const Request& request = workload.requests[run.arrivals.pods[i]];
    const OpenbPlacement& placement = result.placements[i];
    arrived += request.total_milli();
    if (placement.node >= 0) {
      const uint32_t n = position[static_cast<size_t>(placement.node)];
      cluster_fragmented -= fragmented(n);
      fleet.take(n, request, placement.devices);
      cluster_fragmented += fragmented(n);
      used += request.total_milli();
    }
    const auto percent =
        static_cast<size_t>(std::lround(static_cast<double>(arrived) / per_device / 10));
    allocated_row.add(percent, std::round(static_cast<double>(used) / per_device / 10 * 100) / 100);
    fragmented_row.add(percent, 100.0 * static_cast<double>(cluster_fragmented) /
                                    static_cast<double>(std::max<int64_t>(mix.total(), 1)) /
                                    (per_device * core::kWholeDevice));
  }
  result.allocated_percent_at_100 = allocated_row.cell(100);
  result.allocated_percent_at_130 = allocated_row.cell(130);
  result.fragmented_percent_at_95 = fragmented_row.cell(95);
  for (int percent = 1; percent <= 130; ++percent) {
    const auto cell = static_cast<size_t>(percent);
    result.curve.push_back({percent, allocated_row.cell(cell), fragmented_row.cell(cell)});
  }
}

}  // namespace

traces::OpenbArrivals generate_openb_arrivals(std::span<const OpenbNode> nodes,
                                              std::span<const OpenbPod> pods, uint64_t seed) {
  Rng rng(seed);
  const auto shuffle = [&](std::vector<uint32_t>& rows) {
    for (size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[rng.below(i)]);
  };
  traces::OpenbArrivals arrivals;
  arrivals.pods.resize(pods.size());
  std::iota(arrivals.pods.begin(), arrivals.pods.end(), 0u);
  shuffle(arrivals.pods);
  int64_t capacity = 0;
  for (const OpenbNode& node : nodes) capacity += int64_t{node.devices} * core::kWholeDevice;
  int64_t demand = 0;
  for (const OpenbPod& pod : pods) demand += pod.total_milli();
  const int64_t most = capacity * 13 / 10;
  while (demand > most) {
    demand -= pods[arrivals.pods.back()].total_milli();
    arrivals.pods.pop_back();
  }
  // A trace without accelerators has no demand to reach.
  while (demand > 0) {
    const auto row = static_cast<uint32_t>(rng.below(pods.size()));
    if (demand + pods[row].total_milli() > most) break;
    demand += pods[row].total_milli();
    arrivals.pods.push_back(row);
  }
  arrivals.nodes.resize(nodes.size());
  std::iota(arrivals.nodes.begin(), arrivals.nodes.end(), 0u);
  shuffle(arrivals.nodes);
  return arrivals;
}

Result<OpenbResult> run_openb(const OpenbRun& run, const Clock& clock) {
  const core::PlacementPolicy* policy = core::find_placement_policy(run.policy);
  if (policy == nullptr) {
    return fail(ErrorCode::kInvalid, fmt::format("unknown policy `{}`", run.policy), "--policy",
                fmt::format("choose one of {}", core::placement_policy_names()));
  }
  BERTH_TRY(const Workload workload, compile(run.nodes, run.pods));
  Fleet fleet = build_fleet(run.nodes, workload, run.arrivals);
  const core::TypicalMix mix = core::TypicalMix::of(workload.requests, kTypicalSharePercent);
  const core::TypicalMix broad = core::TypicalMix::of(workload.requests, kBroadSharePercent);
  std::vector<int64_t> supply(core::kMaxAccelerators);
  for (uint32_t n = 0; n < fleet.size(); ++n) supply[fleet.node(n).model] += fleet.node(n).devices;
  Chooser chooser(fleet, policy->make_scorer ? policy->make_scorer({mix, broad, supply}) : nullptr,
                  run.plain_scan, run.seed);

  OpenbResult result;
  result.placements.resize(run.arrivals.pods.size());
  result.decisions = run.arrivals.pods.size();
  const Time start = clock.now();
  for (size_t i = 0; i < run.arrivals.pods.size(); ++i) {
    const Request& request = workload.requests[run.arrivals.pods[i]];
    const Time began = run.each != nullptr ? run.each->now() : Time{};
    const std::optional<Choice> choice = chooser.choose(request);
    if (choice) fleet.take(choice->node, request, choice->devices);
    if (run.each != nullptr) result.decision_times.push_back(run.each->now() - began);
    if (!choice) continue;
    result.placements[i] = {static_cast<int32_t>(run.arrivals.nodes[choice->node]),
                            choice->devices};
    ++result.placed;
  }
  result.decision_seconds = (clock.now() - start).to_seconds();
  result.index_bytes = chooser.index_bytes();
  measure(run, workload, mix, result);
  return result;
}

}  // namespace berth::simulation
