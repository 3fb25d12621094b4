#include "simulation/openb.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <sys/resource.h>

#include "base/text.h"
#include "cli/simulate/commands.h"
#include "cli/simulate/openb_table.h"
#include "cli/simulate/report/openb_report.h"
#include "cli/simulate/runs.h"
#include "core/placement/policies/policy.h"
#include "objects/json.h"
#include "simulation/confidence.h"
#include "simulation/openb_bound.h"
#include "traces/openb.h"

namespace berth::cli {
namespace {

struct Options {
  std::string nodes;
  std::string pods;
  std::vector<std::string> arrivals;
  std::string seeds = "42..51";
  std::vector<std::string> policies;
  std::string output = "table";
  std::string placements;
  int scale = 1;
  bool plain_scan = false;
  bool bound = false;
  std::string report;
};

/// The number at the end of a file's stem, `default-42.txt`, else its position on the command line.
uint64_t seed_of(const std::string& path, uint64_t position) {
  const size_t slash = path.find_last_of('/');
  const std::string name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  const size_t dot = std::min(name.find_last_of('.'), name.size());
  size_t first = dot;
  while (first > 0 && name[first - 1] >= '0' && name[first - 1] <= '9') --first;
  uint64_t seed = 0;
  if (std::from_chars(name.data() + first, name.data() + dot, seed).ec != std::errc()) {
    return position;
  }
  return seed;
}

uint64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

JsonObject figures(const simulation::OpenbResult& result) {
  return {{"allocated_percent_at_100", result.allocated_percent_at_100},
          {"allocated_percent_at_130", result.allocated_percent_at_130},
          {"fragmented_percent_at_95", result.fragmented_percent_at_95},
          {"placed", result.placed},
          {"decisions", result.decisions},
          {"decision_seconds", result.decision_seconds},
          {"peak_rss_bytes", peak_rss_bytes()}};
}

/// Means of all figures, over the seeds; counts stay means too.
JsonObject mean(const std::vector<JsonObject>& rows) {
  JsonObject mean;
  for (const auto& [name, value] : rows.front()) {
    if (name == "seed") continue;
    double sum = 0;
    for (const JsonObject& row : rows) sum += row.at(name).to_number<double>();
    mean[name] = sum / static_cast<double>(rows.size());
  }
  return mean;
}

/// Half widths of the 95% intervals of the means.
JsonObject confidence(const std::vector<JsonObject>& rows) {
  JsonObject widths;
  for (const auto& [name, value] : rows.front()) {
    if (!std::string_view(name).contains("percent")) continue;
    std::vector<double> values;
    values.reserve(rows.size());
    for (const JsonObject& row : rows) values.push_back(row.at(name).to_number<double>());
    widths[name] = simulation::confidence_95(values);
  }
  return widths;
}

std::string placement_lines(const traces::OpenbArrivals& arrivals,
                            const simulation::OpenbResult& result) {
  std::string text;
  for (size_t i = 0; i < arrivals.pods.size(); ++i) {
    const simulation::OpenbPlacement& placement = result.placements[i];
    std::string devices;
    core::for_each_device(placement.devices, [&](size_t d) {
      if (!devices.empty()) devices += '+';
      devices += std::to_string(d);
    });
    text += fmt::format("{} {} {}\n", arrivals.pods[i], placement.node,
                        devices.empty() ? "-" : devices);
  }
  return text;
}

template <class Row>
void repeat(std::vector<Row>& table, int times) {
  const size_t rows = table.size();
  table.reserve(rows * static_cast<size_t>(times));
  for (int i = 1; i < times; ++i)
    table.insert(table.end(), table.begin(), table.begin() + static_cast<ptrdiff_t>(rows));
}

Result<> simulate(const Options& options) {
  BERTH_TRY(const std::string node_text, read_text_file(options.nodes));
  BERTH_TRY(const std::string pod_text, read_text_file(options.pods));
  BERTH_TRY(std::vector<traces::OpenbNode> nodes,
            traces::read_openb_nodes(node_text, options.nodes));
  BERTH_TRY(std::vector<traces::OpenbPod> pods, traces::read_openb_pods(pod_text, options.pods));

  repeat(nodes, options.scale);
  repeat(pods, options.scale);
  std::vector<std::pair<uint64_t, traces::OpenbArrivals>> streams;
  if (options.arrivals.empty()) {
    BERTH_TRY(const std::vector<uint64_t> seeds, parse_seeds(options.seeds));
    for (uint64_t seed : seeds) {
      streams.emplace_back(seed, simulation::generate_openb_arrivals(nodes, pods, seed));
    }
  }
  for (const std::string& path : options.arrivals) {
    BERTH_TRY(const std::string text, read_text_file(path));
    BERTH_TRY(traces::OpenbArrivals arrivals,
              traces::read_openb_arrivals(text, path, nodes.size(), pods.size()));
    streams.emplace_back(seed_of(path, streams.size()), std::move(arrivals));
  }

  std::vector<double> bounds;  // by stream
  if (options.bound) {
    for (const auto& [seed, arrivals] : streams)
      bounds.push_back(simulation::openb_upper_bound_percent(nodes, pods, arrivals));
  }

  const Stopwatch clock;
  std::string placements;
  JsonArray policies;
  std::vector<OpenbCurves> all_curves;
  for (const std::string& policy : options.policies) {
    std::vector<JsonObject> rows;
    OpenbCurves curves{policy, {}};
    for (const auto& [seed, arrivals] : streams) {
      BERTH_TRY(
          const simulation::OpenbResult result,
          simulation::run_openb({nodes, pods, arrivals, policy, seed, options.plain_scan}, clock));
      JsonObject row{{"seed", seed}};
      for (auto& [name, value] : figures(result)) row[name] = value;
      if (options.bound) {
        const double bound = bounds[rows.size()];
        row["upper_bound_percent"] = bound;
        row["share_of_bound_percent"] =
            bound > 0 ? 100 * result.allocated_percent_at_100 / bound : 100.0;
      }
      rows.push_back(std::move(row));
      curves.by_seed.push_back(result.curve);
      if (!options.placements.empty()) placements += placement_lines(arrivals, result);
    }
    all_curves.push_back(std::move(curves));
    policies.push_back(JsonObject{{"policy", policy},
                                  {"seeds", JsonArray(rows.begin(), rows.end())},
                                  {"mean", mean(rows)},
                                  {"confidence_95", confidence(rows)}});
  }
  if (!options.placements.empty()) {
    BERTH_CHECK(write_text_file(options.placements, placements));
  }
  JsonObject document{{"benchmark", "openb"}, {"nodes", nodes.size()}, {"pods", pods.size()}};
  if (policies.size() == 1) {
    for (auto& [name, value] : policies[0].as_object()) document[name] = value;
  }
  const auto page = [&] { return openb_report(options.pods, policies, all_curves); };
  if (!options.report.empty()) BERTH_CHECK(write_text_file(options.report, page()));
  if (options.output == "html") {
    fmt::print("{}", page());
  } else if (options.output == "json") {
    if (policies.size() > 1) document["policies"] = policies;
    fmt::print("{}\n", boost::json::serialize(document));
  } else {
    print_openb_table(policies);
  }
  return {};
}

}  // namespace

void add_simulate_openb(CLI::App& simulate_command, int& exit_code) {
  auto options = std::make_shared<Options>();
  options->policies = {"berth"};
  auto* command = simulate_command.add_subcommand(
      "openb", "The public GPU placement benchmark: pods of the openb trace arrive, none leaves");
  command->add_option("--nodes", options->nodes, "Node table: cpu_milli,memory_mib,gpu,model")
      ->type_name("FILE")
      ->required();
  command
      ->add_option("--pods", options->pods,
                   "Pod table: cpu_milli,memory_mib,num_gpu,gpu_milli[,gpu_spec]")
      ->type_name("FILE")
      ->required();
  command
      ->add_option("--arrivals", options->arrivals,
                   "Exact stream(s): a line `nodes ...` and a line `pods ...` of row numbers")
      ->type_name("FILE");
  command->add_option("--seeds", options->seeds, "Seeds for generated streams")
      ->type_name("SEEDS")
      ->capture_default_str();
  command
      ->add_option("--policy", options->policies,
                   "Which policies: " + core::placement_policy_names())
      ->type_name("POLICY")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "table, json or html")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json", "html"}))
      ->capture_default_str();
  command
      ->add_option("--placements", options->placements,
                   "Write a line a pod: pod row, node row (-1: none), devices")
      ->type_name("FILE");
  command
      ->add_option("--scale", options->scale,
                   "Repeat both tables this often, to see how speed grows with the cluster")
      ->type_name("FACTOR")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_flag("--plain-scan", options->plain_scan,
                    "Score every node for every pod, to compare speed");
  command
      ->add_option("--report", options->report,
                   "Also write an HTML file with plots; it needs nothing else")
      ->type_name("FILE");
  command->add_flag("--bound", options->bound,
                    "Also print what no policy can exceed at 100%, and the policy's share of it");
  command->footer(
      "Example:\n  berth simulate openb --nodes tests/data/openb-small/nodes.csv --pods "
      "tests/data/openb-small/pods.csv --seeds 1..10 --policy berth,fgd");
  command->callback([options, &exit_code] { exit_code = report(simulate(*options)); });
}

}  // namespace berth::cli
