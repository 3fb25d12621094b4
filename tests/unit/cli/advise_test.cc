#include <algorithm>
#include <filesystem>
#include <fstream>

#include <CLI/CLI.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "cli/commands.h"
#include "objects/json.h"

namespace berth::cli {
namespace {

namespace fs = std::filesystem;

class Advice : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    profile("fast.yaml", 1);
    profile("slow.yaml", 2);
    std::ofstream trace(file("trace.csv"));
    trace << "TIMESTAMP,ContextTokens,GeneratedTokens\n";
    for (int i = 0; i < 900; ++i)
      trace << fmt::format("2023-11-16 18:{:02}:{:02}.0000000,900,40\n", i / 60, i % 60);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void profile(const std::string& name, double slower) {
    std::ofstream(file(name)) << fmt::format(
        "apiVersion: berth.dev/v1alpha1\nkind: ServingProfile\nmetadata: {{name: p}}\nspec:\n"
        "  accelerator: {}\n  iteration: {{baseSeconds: {}, perTokenSeconds: {}}}\n"
        "  limits: {{maxSequences: 128, maxBatchedTokens: 2048}}\n",
        name, 0.0133 * slower, 3.1e-5 * slower);
  }

  std::string file(const std::string& name) const { return (folder_ / name).string(); }

  int run(std::vector<std::string> arguments, std::string& out) {
    CLI::App root;
    int exit_code = -1;
    const Globals globals;
    add_advise(root, globals, exit_code);
    add_tune(root, exit_code);
    std::reverse(arguments.begin(), arguments.end());
    testing::internal::CaptureStdout();
    root.parse(arguments);
    std::fflush(stdout);
    out = testing::internal::GetCapturedStdout();
    return exit_code;
  }

  const fs::path folder_ = fs::temp_directory_path() / fmt::format("berth-advise-{}", getpid());
};

TEST_F(Advice, TheCheapestComesFirstWithItsArithmetic) {
  std::string out;
  ASSERT_EQ(
      run({"advise", "--profile", file("fast.yaml") + "=3", "--profile", file("slow.yaml") + "=0.5",
           "--rate", "50", "--prompt-tokens", "800", "--output-tokens", "100", "-o", "json"},
          out),
      0);
  const Json document = boost::json::parse(out);
  const JsonArray& options = document.at("options").as_array();
  ASSERT_EQ(options.size(), 2u);
  EXPECT_EQ(options[0].at("accelerator").as_string(), "slow.yaml");
  EXPECT_GT(options[0].at("replicas").as_int64(), options[1].at("replicas").as_int64());
  EXPECT_GE(options[0].at("attainment").as_double(), 0.95);
  EXPECT_FALSE(options[0].at("arithmetic").as_string().empty());
}

TEST_F(Advice, WhatIsMissingIsSaid) {
  std::string out;
  EXPECT_EQ(run({"advise"}, out), 2) << "no profile";
  EXPECT_EQ(run({"advise", "running", "--window", "5s"}, out), 2);
  EXPECT_EQ(run({"advise", "--profile", file("fast.yaml")}, out), 2);
  EXPECT_EQ(run({"advise", "--profile", file("fast.yaml") + "=cheap", "--rate", "1",
                 "--prompt-tokens", "1", "--output-tokens", "1"},
                out),
            2);
}

TEST_F(Advice, TuneShowsItsProof) {
  std::string out;
  ASSERT_EQ(run({"tune", "--trace", file("trace.csv"), "--profile", file("fast.yaml"), "--copies",
                 "5", "-o", "json"},
                out),
            0);
  const Json document = boost::json::parse(out);
  EXPECT_TRUE(document.at("held_out").as_object().contains("attainment_after"));
  EXPECT_TRUE(document.at("proven").is_bool());
  EXPECT_GT(document.at("tried").as_int64(), 20);
}

}  // namespace
}  // namespace berth::cli
