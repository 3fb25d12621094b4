#include <algorithm>
#include <filesystem>
#include <sstream>

#include <CLI/CLI.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/simulate/commands.h"
#include "objects/json.h"
#include "traces/openb.h"

namespace berth::cli {
namespace {

namespace fs = std::filesystem;

struct Outcome {
  int exit_code;
  std::string out, err;
};

const std::string kTrace = std::string(BERTH_SOURCE_DIR) + "/tests/data/openb-small";

Outcome simulate_openb(std::vector<std::string> arguments) {
  CLI::App simulate;
  int exit_code = -1;
  add_simulate_openb(simulate, exit_code);
  arguments.insert(arguments.begin(),
                   {"openb", "--nodes", kTrace + "/nodes.csv", "--pods", kTrace + "/pods.csv"});
  std::reverse(arguments.begin(), arguments.end());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  simulate.parse(arguments);
  std::fflush(stdout);
  return {exit_code, testing::internal::GetCapturedStdout(),
          testing::internal::GetCapturedStderr()};
}

std::string temporary(const std::string& name) {
  return (fs::temp_directory_path() / fmt::format("berth-{}-{}", getpid(), name)).string();
}

TEST(SimulateOpenb, JsonHasEveryFigureBySeedAndAsMean) {
  const Outcome done = simulate_openb({"--seeds", "1..3", "--bound", "-o", "json"});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const Json document = boost::json::parse(done.out);
  const JsonArray& seeds = document.at("seeds").as_array();
  ASSERT_EQ(seeds.size(), 3u);
  for (const char* figure : {"allocated_percent_at_100", "allocated_percent_at_130",
                             "fragmented_percent_at_95", "placed", "decisions", "decision_seconds",
                             "peak_rss_bytes", "upper_bound_percent", "share_of_bound_percent"}) {
    SCOPED_TRACE(figure);
    double sum = 0;
    for (const Json& row : seeds) sum += row.at(figure).to_number<double>();
    EXPECT_NEAR(document.at("mean").at(figure).to_number<double>(), sum / 3, 1e-6 * sum);
    EXPECT_GT(sum, 0);
  }
  EXPECT_EQ(document.at("policy").as_string(), "berth");
  for (const Json& row : seeds) EXPECT_LE(row.at("share_of_bound_percent").as_double(), 100);
}

/// Follows the lines by its own accounts: nothing is used twice, every pod that fits is placed,
/// and what was placed adds up to the allocation that is printed.
TEST(SimulateOpenb, PlacementsAreFeasibleAndAddUp) {
  const std::string nodes_text = read_text_file(kTrace + "/nodes.csv").value();
  const std::string pods_text = read_text_file(kTrace + "/pods.csv").value();
  const auto nodes = traces::read_openb_nodes(nodes_text, "nodes.csv").value();
  const auto pods = traces::read_openb_pods(pods_text, "pods.csv").value();
  for (const char* policy : {"berth", "fgd", "first-fit", "random"}) {
    SCOPED_TRACE(policy);
    const std::string file = temporary("placements");
    const Outcome done =
        simulate_openb({"--seeds", "5", "--policy", policy, "--placements", file, "-o", "json"});
    ASSERT_EQ(done.exit_code, 0) << done.err;
    std::istringstream lines(read_text_file(file).value());
    fs::remove(file);
    struct Left {
      int64_t cpu, memory;
      std::vector<int> devices;
    };
    std::vector<Left> left;
    for (const auto& node : nodes)
      left.push_back({node.cpu_milli, node.memory_mib,
                      std::vector<int>(static_cast<size_t>(node.devices), 1000)});
    const auto allowed = [&](const traces::OpenbPod& pod, size_t n) {
      if (pod.models.empty()) return true;
      for (std::string_view model : split(pod.models, '|')) {
        if (model == nodes[n].model) return true;
      }
      return false;
    };
    size_t row = 0;
    int node = 0;
    std::string devices;
    uint64_t placed = 0;
    int64_t used = 0;
    while (lines >> row >> node >> devices) {
      const traces::OpenbPod& pod = pods.at(row);
      if (node < 0) {
        EXPECT_EQ(devices, "-");
        for (size_t n = 0; n < nodes.size(); ++n) {
          const auto fitting = std::count_if(left[n].devices.begin(), left[n].devices.end(),
                                             [&](int free) { return free >= pod.device_milli; });
          EXPECT_FALSE(allowed(pod, n) && left[n].cpu >= pod.cpu_milli &&
                       left[n].memory >= pod.memory_mib && fitting >= pod.devices)
              << "pod row " << row << " fits node row " << n;
        }
        continue;
      }
      ++placed;
      used += pod.total_milli();
      const auto n = static_cast<size_t>(node);
      ASSERT_TRUE(allowed(pod, n));
      ASSERT_GE(left.at(n).cpu -= pod.cpu_milli, 0);
      ASSERT_GE(left[n].memory -= pod.memory_mib, 0);
      int taken = 0;
      if (devices != "-") {
        for (std::string_view device : split(devices, '+')) {
          ASSERT_GE(left[n].devices.at(std::stoul(std::string(device))) -= pod.device_milli, 0);
          ++taken;
        }
      }
      ASSERT_EQ(taken, pod.devices);
    }
    const Json mean = boost::json::parse(done.out).at("mean");
    EXPECT_EQ(static_cast<double>(placed), mean.at("placed").to_number<double>());
    int64_t capacity = 0;
    for (const auto& each : nodes) capacity += each.devices;
    EXPECT_NEAR(mean.at("allocated_percent_at_130").to_number<double>(),
                static_cast<double>(used) / static_cast<double>(capacity) / 10, 1.5);
  }
}

TEST(SimulateOpenb, SeveralPoliciesStandSideBySideWithIntervals) {
  const Outcome done = simulate_openb({"--seeds", "1..4", "--policy", "berth,fgd"});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(std::count(done.out.begin(), done.out.end(), '\n'), 3);
  EXPECT_NE(done.out.find("+-"), std::string::npos);
}

TEST(SimulateOpenb, TheReportIsOnePageWithAPlotAndABandAPolicy) {
  const std::string file = temporary("report.html");
  const Outcome done =
      simulate_openb({"--seeds", "1..3", "--policy", "berth,fgd", "--report", file});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const std::string page = read_text_file(file).value();
  fs::remove(file);
  const auto count = [&](std::string_view what) {
    int found = 0;
    for (size_t at = page.find(what); at != std::string::npos; at = page.find(what, at + 1))
      ++found;
    return found;
  };
  EXPECT_EQ(count("<svg"), 3);
  EXPECT_EQ(count("<polyline"), 6);
  EXPECT_EQ(count("<polygon"), 6);
  EXPECT_EQ(count("http"), 0);
  EXPECT_EQ(count("nan"), 0);
  EXPECT_EQ(simulate_openb({"--seeds", "1", "-o", "html"}).out.rfind("<!doctype html>", 0), 0u);
}

TEST(SimulateOpenb, AnUnknownPolicyNamesThoseThereAre) {
  const Outcome done = simulate_openb({"--policy", "fdg"});
  EXPECT_EQ(done.exit_code, 2);
  EXPECT_NE(done.err.find("fdg"), std::string::npos);
  EXPECT_NE(done.err.find("first-fit"), std::string::npos);
}

}  // namespace
}  // namespace berth::cli
