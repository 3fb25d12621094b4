#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <set>
#include <tuple>

#include "base/rng.h"
#include "bench/decisions/measure.h"
#include "core/placement/policies/policy.h"
#include "simulation/openb.h"
#include "traces/openb.h"

namespace berth::bench {
namespace {

std::string read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class Row>
std::vector<Row> repeated(const std::vector<Row>& table, int times) {
  std::vector<Row> out;
  for (int i = 0; i < times; ++i) out.insert(out.end(), table.begin(), table.end());
  return out;
}

size_t shapes(const std::vector<traces::OpenbPod>& pods) {
  std::set<std::tuple<int64_t, int64_t, int, int, std::string>> distinct;
  for (const traces::OpenbPod& pod : pods)
    distinct.emplace(pod.cpu_milli, pod.memory_mib, pod.devices, pod.device_milli, pod.models);
  return distinct.size();
}

struct Table {
  std::vector<traces::OpenbNode> nodes;
  std::vector<traces::OpenbPod> pods;
};

/// Of a few runs, as other programs disturb: the most decisions a second.
double rate(const Table& table, const std::string& policy, bool plain, int runs) {
  const traces::OpenbArrivals arrivals =
      simulation::generate_openb_arrivals(table.nodes, table.pods, 42);
  double best = 0;
  for (int i = 0; i < runs; ++i) {
    const auto result =
        simulation::run_openb({table.nodes, table.pods, arrivals, policy, 42, plain}, Stopwatch());
    best = std::max(best, static_cast<double>(result->decisions) / result->decision_seconds);
  }
  return best;
}

/// A decision's time is too short for the clock of CPU time.
class WallClock final : public Clock {
 public:
  Time now() const override {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return Time{std::chrono::duration_cast<std::chrono::nanoseconds>(since).count()};
  }
};

/// Of one decision, in microseconds: quantiles of the least of a few runs, as other programs
/// disturb.
void add_quantiles(const Table& table, const std::string& at, Measures& out) {
  const traces::OpenbArrivals arrivals =
      simulation::generate_openb_arrivals(table.nodes, table.pods, 42);
  const WallClock clock;
  std::vector<Duration> least;
  for (int i = 0; i < 3; ++i) {
    auto result = simulation::run_openb(
        {table.nodes, table.pods, arrivals, "fgd", 42, false, &clock}, Stopwatch());
    std::vector<Duration>& times = result->decision_times;
    if (least.empty()) least = times;
    for (size_t d = 0; d < times.size(); ++d) least[d] = std::min(least[d], times[d]);
  }
  std::sort(least.begin(), least.end());
  const auto quantile = [&](double share) {
    return least[std::min(least.size() - 1,
                          static_cast<size_t>(share * static_cast<double>(least.size())))]
               .to_seconds() *
           1e6;
  };
  out.emplace_back("p50_us" + at, quantile(0.5));
  out.emplace_back("p99_us" + at, quantile(0.99));
  out.emplace_back("worst_us" + at, quantile(1));
}

}  // namespace

Measures placement(const std::string& traces) {
  const auto nodes = traces::read_openb_nodes(read(traces + "/nodes/gpu_node.csv"), "gpu_node.csv");
  const auto pods = traces::read_openb_pods(read(traces + "/pods/default.csv"), "default.csv");
  if (!nodes || !pods) return {};
  Measures out;
  for (int scale : {1, 8}) {
    const Table table{repeated(*nodes, scale), repeated(*pods, scale)};
    const std::string at = "_" + std::to_string(table.nodes.size());
    out.emplace_back("index" + at, rate(table, "fgd", false, 3));
    out.emplace_back("plain" + at, rate(table, "fgd", true, 1));
    out.emplace_back("berth" + at, rate(table, "berth", false, 3));
    add_quantiles(table, at, out);
  }
  // A third of the pods that want devices are told a set of models, as the trace with most of them
  // has them.
  const auto confined =
      traces::read_openb_pods(read(traces + "/pods/gpuspec20.csv"), "gpuspec20.csv");
  if (!confined) return {};
  std::vector<std::string> models;
  for (const traces::OpenbPod& pod : *confined)
    if (!pod.models.empty()) models.push_back(pod.models);
  Rng rng(1);
  Table many{repeated(*nodes, 8), *pods};
  for (traces::OpenbPod& pod : many.pods)
    if (pod.devices > 0 && rng.below(3) == 0) pod.models = models[rng.below(models.size())];
  out.emplace_back("shapes", shapes(many.pods));
  many.pods = repeated(many.pods, 8);
  out.emplace_back("many_shapes", rate(many, "fgd", false, 3));
  return out;
}

}  // namespace berth::bench
