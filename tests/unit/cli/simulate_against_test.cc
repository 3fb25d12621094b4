#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <CLI/CLI.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "cli/simulate/commands.h"
#include "control/journal_file.h"
#include "objects/json.h"
#include "simulation/cluster/cluster.h"
#include "traces/cluster/cluster.h"

namespace berth::cli {
namespace {

namespace fs = std::filesystem;

class NoClock final : public Clock {
 public:
  Time now() const override { return {}; }
};

/// A journal as Control writes it, of a run of the small cluster under `pack`.
class SimulateAgainst : public testing::Test {
 protected:
  void SetUp() override {
    const auto read = [](const std::string& name) {
      std::ifstream in(std::string(BERTH_SOURCE_DIR) + "/tests/data/cluster-small/" + name);
      std::ostringstream text;
      text << in.rdbuf();
      return text.str();
    };
    const auto nodes = traces::read_cluster_nodes(read("nodes.csv"), "n");
    const auto jobs = traces::read_cluster_jobs(read("jobs.csv"), "j", traces::SwfProcessor::kCpu);
    const auto queues = traces::read_cluster_queues(read("queues.csv"), "q");
    simulation::Workload workload = *simulation::make_workload(*nodes, *jobs, *queues);
    workload.origin = Time{Duration::hours(480'000).ns};
    const auto journal = *control::JournalFiles::open(
        folder_, 4, [](const Error& error) { ADD_FAILURE() << error.to_string(); });
    simulation::ClusterRun run{&workload};
    run.policy.profile = "pack";
    run.journal = journal.get();
    ASSERT_TRUE(simulation::run_cluster(run, NoClock()));
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string run(std::vector<std::string> arguments, int expected = 0) {
    CLI::App simulate;
    int exit_code = -1;
    add_simulate_cluster(simulate, exit_code);
    std::reverse(arguments.begin(), arguments.end());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    simulate.parse(arguments);
    std::fflush(stdout);
    std::fflush(stderr);
    const std::string out = testing::internal::GetCapturedStdout();
    const std::string err = testing::internal::GetCapturedStderr();
    EXPECT_EQ(exit_code, expected) << err;
    return expected == 0 ? out : err;
  }

  const std::string folder_ =
      (fs::temp_directory_path() / fmt::format("berth-{}-journal", getpid())).string();
};

TEST_F(SimulateAgainst, WhatHappenedStandsBesideWhatWouldHave) {
  const Json said =
      boost::json::parse(run({"--against", folder_, "--policy", "pack,spread", "-o", "json"}));
  const auto& policies = said.at("policies").as_array();
  ASSERT_EQ(policies.size(), 3u);
  EXPECT_EQ(policies[0].at("policy").as_string(), "recorded: pack");
  for (const char* figure : {"mean_wait_s", "mean_jct_s", "preemptions", "makespan_s"})
    EXPECT_EQ(policies[0].at("mean").at(figure), policies[1].at("mean").at(figure)) << figure;
  EXPECT_NE(policies[0].at("mean").at("mean_jct_s"), policies[2].at("mean").at("mean_jct_s"));
}

TEST_F(SimulateAgainst, TableAndPageSayWhatIsAssumed) {
  EXPECT_NE(run({"--against", folder_}).find("The journal covers"), std::string::npos);
  const std::string page = run({"--against", folder_, "-o", "html"});
  EXPECT_EQ(page.rfind("<!doctype html>", 0), 0u);
  EXPECT_NE(page.find("recorded: pack"), std::string::npos);
  EXPECT_NE(page.find("The journal covers"), std::string::npos);
}

TEST_F(SimulateAgainst, RefusesWhatDoesNotGoTogether) {
  EXPECT_NE(run({"--against", folder_, "--nodes", "n.csv"}, 2).find("--nodes"), std::string::npos);
  EXPECT_NE(run({"--against", folder_ + "-none"}, 2).find("no such journal"), std::string::npos);
  const std::string file = folder_ + "/notes.txt";
  std::ofstream(file) << "hello\n\n";
  EXPECT_NE(run({"--against", file}, 2).find("notes.txt: line 1"), std::string::npos);
}

}  // namespace
}  // namespace berth::cli
