#include <algorithm>
#include <filesystem>
#include <fstream>

#include <CLI/CLI.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "cli/simulate/commands.h"
#include "objects/json.h"

namespace berth::cli {
namespace {

namespace fs = std::filesystem;

class SimulateFleet : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    std::ofstream trace(file("trace.csv"));
    trace << "TIMESTAMP,ContextTokens,GeneratedTokens\n";
    for (int i = 0; i < 300; ++i)
      trace << fmt::format("2023-11-16 18:{:02}:{:02}.0000000,500,20\n", i / 60, i % 60);
    std::ofstream(file("profile.yaml")) << R"(apiVersion: berth.dev/v1alpha1
kind: ServingProfile
metadata: {name: p}
spec:
  iteration: {baseSeconds: 0.0133, perTokenSeconds: 3.1e-5, perSequenceSeconds: 4.2e-5}
  limits: {maxSequences: 128, maxBatchedTokens: 2048}
)";
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string file(const std::string& name) const { return (folder_ / name).string(); }

  int run(std::vector<std::string> arguments, std::string& out) {
    CLI::App simulate;
    int exit_code = -1;
    add_simulate_fleet(simulate, exit_code);
    arguments.insert(arguments.begin(), {"fleet", "--trace", file("trace.csv"), "--profile",
                                         file("profile.yaml"), "--seeds", "1..2"});
    std::reverse(arguments.begin(), arguments.end());
    testing::internal::CaptureStdout();
    simulate.parse(arguments);
    std::fflush(stdout);
    out = testing::internal::GetCapturedStdout();
    return exit_code;
  }

  const fs::path folder_ = fs::temp_directory_path() / fmt::format("berth-fleet-{}", getpid());
};

TEST_F(SimulateFleet, PoliciesStandSideBySideWithTheOracle) {
  std::string out;
  ASSERT_EQ(run({"--copies", "10", "--oracle", "--price", "2", "-o", "json"}, out), 0);
  const Json document = boost::json::parse(out);
  const JsonArray& policies = document.at("policies").as_array();
  ASSERT_EQ(policies.size(), 5u);
  EXPECT_EQ(policies[0].at("policy").as_string(), "queueing");
  EXPECT_EQ(policies[1].at("policy").as_string(), "hpa+plain");
  EXPECT_GE(policies[0].at("attainment").at("mean").as_double(), 0.95);
  EXPECT_TRUE(policies[0].as_object().contains("over_oracle"));
  EXPECT_EQ(policies[0].at("seeds").as_array().size(), 2u);
  EXPECT_TRUE(document.as_object().contains("static_peak"));
}

TEST_F(SimulateFleet, TheServiceManifestSaysWhatIsAskedFor) {
  std::ofstream(file("service.yaml")) << R"(apiVersion: berth.dev/v1alpha1
kind: ModelService
metadata: {name: chat}
spec:
  replicas: {min: 1, max: 3}
  objective: {ttft: {percentile: 95, target: 1500ms}, tpot: {percentile: 90, target: 40ms}}
  scaling: {policy: queueing, idleAfter: 2m}
)";
  std::string out;
  ASSERT_EQ(run({"--service", file("service.yaml"), "--cold-start", "90s", "--policy", "queueing",
                 "-o", "json"},
                out),
            0);
  const Json document = boost::json::parse(out);
  EXPECT_DOUBLE_EQ(document.at("objective").at("ttft_s").as_double(), 1.5);
  EXPECT_DOUBLE_EQ(document.at("objective").at("tpot_s").as_double(), 0.04);
  EXPECT_DOUBLE_EQ(document.at("objective").at("attainment").as_double(), 0.95);
  EXPECT_DOUBLE_EQ(document.at("cold_start_s").as_double(), 90);
}

TEST_F(SimulateFleet, TheReportIsOnePage) {
  std::string out;
  ASSERT_EQ(run({"--policy", "queueing,kpa", "-o", "html"}, out), 0);
  EXPECT_NE(out.find("<svg"), std::string::npos);
  EXPECT_NE(out.find("kpa"), std::string::npos);
  EXPECT_EQ(out.find("http://"), std::string::npos);
}

TEST_F(SimulateFleet, NonsenseIsRefused) {
  std::string out;
  EXPECT_EQ(run({"--policy", "best"}, out), 2);
  EXPECT_EQ(run({"--ttft", "soon"}, out), 2);
  EXPECT_EQ(run({"--synthetic"}, out), 2);
}

}  // namespace
}  // namespace berth::cli
