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

class SimulateTrainingQueue : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(jobs_) << "job,arrival_s,gpus,runtime_s\n<a>,0,1,600\nb,100,2,300\nc,130,1,90\n";
  }
  void TearDown() override { fs::remove(jobs_); }

  std::string run(std::vector<std::string> arguments) {
    CLI::App simulate;
    int exit_code = -1;
    add_simulate_training_queue(simulate, exit_code);
    arguments.insert(arguments.begin(), {"training-queue", "--jobs", jobs_, "--gpus", "2"});
    std::reverse(arguments.begin(), arguments.end());
    testing::internal::CaptureStdout();
    simulate.parse(arguments);
    std::fflush(stdout);
    std::string out = testing::internal::GetCapturedStdout();
    EXPECT_EQ(exit_code, 0);
    return out;
  }

  const std::string jobs_ =
      (fs::temp_directory_path() / fmt::format("berth-{}-jobs.csv", getpid())).string();
};

TEST_F(SimulateTrainingQueue, OnePolicyIsFlatJsonAndSeveralAnArray) {
  const Json one = boost::json::parse(run({"-o", "json"}));
  EXPECT_EQ(one.at("policy").as_string(), "berth");
  for (const char* figure : {"makespan_s", "mean_jct_s", "worst_ftf", "unfair_percent", "restarts"})
    EXPECT_TRUE(one.as_object().contains(figure)) << figure;
  const Json two = boost::json::parse(run({"--policy", "berth,fifo", "-o", "json"}));
  EXPECT_EQ(two.at("policies").as_array().at(1).at("policy").as_string(), "fifo");
}

TEST_F(SimulateTrainingQueue, TheReportHasTheFrontAndAScheduleAPolicy) {
  const std::string page = run({"--policy", "berth,fifo", "-o", "html"});
  EXPECT_EQ(page.rfind("<!doctype html>", 0), 0u);
  EXPECT_NE(page.find("When each job ran: fifo"), std::string::npos);
  EXPECT_NE(page.find("<title>&lt;a&gt;: 0 to"), std::string::npos);
  EXPECT_EQ(page.find("<a>"), std::string::npos);
}

}  // namespace
}  // namespace berth::cli
