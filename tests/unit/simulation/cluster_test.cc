#include "simulation/cluster/cluster.h"

#include <cmath>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "simulation/cluster/running_job.h"
#include "traces/cluster/cluster.h"

namespace berth::simulation {
namespace {

class Still final : public Clock {
 public:
  Time now() const override { return {}; }
};

std::string file(const std::string& name) {
  std::ifstream in(std::string(BERTH_SOURCE_DIR) + "/tests/data/cluster-small/" + name);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

Result<Workload> workload(const std::string& nodes, const std::string& jobs,
                          const std::string& queues) {
  BERTH_TRY(const auto n, traces::read_cluster_nodes(nodes, "n"));
  BERTH_TRY(const auto j, traces::read_cluster_jobs(jobs, "j", traces::SwfProcessor::kCpu));
  BERTH_TRY(const auto q, traces::read_cluster_queues(queues, "q"));
  return make_workload(n, j, q);
}

ClusterResult run(const Workload& workload, uint64_t seed = 1, Failures failures = {}) {
  core::PolicySet policy;
  policy.profile = "berth";
  auto result = run_cluster({&workload, policy, seed, failures}, Still());
  EXPECT_TRUE(result) << result.error().to_string();
  return *result;
}

TEST(ClusterSimulation, RunsJobsToTheirEnd) {
  const auto small = workload(file("nodes.csv"), file("jobs.csv"), file("queues.csv"));
  ASSERT_TRUE(small) << small.error().to_string();
  const ClusterResult result = run(*small);
  EXPECT_EQ(result.unfinished, 0u);
  for (size_t i = 0; i < small->jobs.size(); ++i) {
    const JobOutcome& job = result.jobs[i];
    EXPECT_GE(job.first_start, small->jobs[i].submit) << small->jobs[i].name;
    if (job.starts > 1) continue;
    EXPECT_EQ(job.end - job.first_start, small->jobs[i].runtime) << small->jobs[i].name;
  }
  EXPECT_GT(result.allocated_percent, 0);
  EXPECT_LE(result.allocated_percent, 100);
  ASSERT_FALSE(result.frames.empty());
  EXPECT_EQ(result.frames.front().nodes.size(), 3u);
}

TEST(ClusterSimulation, EqualSeedsGiveEqualRuns) {
  const auto small = workload(file("nodes.csv"), file("jobs.csv"), file("queues.csv"));
  ASSERT_TRUE(small);
  const Failures often{Duration::hours(2), Duration::minutes(10)};
  const ClusterResult one = run(*small, 7, often);
  const ClusterResult two = run(*small, 7, often);
  ASSERT_GT(one.failures, 0u);
  EXPECT_EQ(one.unfinished, 0u);
  for (size_t i = 0; i < one.jobs.size(); ++i) EXPECT_EQ(one.jobs[i].end, two.jobs[i].end);
  EXPECT_EQ(one.cycles, two.cycles);
}

TEST(ClusterSimulation, ResamplingKeepsTheNumberOfJobs) {
  const auto small = workload(file("nodes.csv"), file("jobs.csv"), file("queues.csv"));
  ASSERT_TRUE(small);
  const Workload drawn = resampled(*small, 3);
  EXPECT_EQ(drawn.jobs.size(), small->jobs.size());
  EXPECT_EQ(run(drawn).unfinished, 0u);
}

TEST(ClusterSimulation, RefusesWhatCannotBe) {
  const std::string nodes = "name,cpu_milli,memory_mib,gpu\na,4000,1024,4\n";
  const std::string head = "job,submit_s,runtime_s,gpus,members,queue\n";
  const auto where = [&](const std::string& jobs, const std::string& queues) {
    const auto made = workload(nodes, head + jobs, queues);
    return made ? std::string("accepted") : made.error().where;
  };
  EXPECT_EQ(where("a,0,1,1,1,\n", "queue\ndefault\n"), "accepted");
  EXPECT_EQ(where("a,0,1,1,1,\nb,0,1,1,5,\n", "queue\ndefault\n"), "j:3:1");  // a gang too large
  EXPECT_EQ(where("a,0,1,8,1,\n", "queue\ndefault\n"), "j:2:1");
  EXPECT_EQ(where("a,0,1,1,1,no\n", "queue\ndefault\n"), "j:2:1");
  EXPECT_EQ(where("a,0,1,1,1,\n", "queue,guaranteed_gpus\ndefault,3\nmore,2\n"), "q:3:1");
  EXPECT_EQ(where("a,0,1,1,1,x\n", "queue,parent,guaranteed_gpus\np,,2\nx,p,1\ny,p,2\n"), "q:4:1");
}

/// Starts that are predicted from what owners' earlier jobs took fall into their intervals about as
/// often as these say.
TEST(ClusterSimulation, PredictsStarts) {
  std::string jobs = "job,submit_s,runtime_s,gpus,owner\n";
  Rng rng(5);
  double at = 0;
  for (int i = 0; i < 1000; ++i) {
    at += rng.exponential(150);
    const auto owner = rng.below(4);
    const double runtime = std::exp(5.5 + 0.5 * static_cast<double>(owner) + 0.6 * rng.normal());
    jobs += fmt::format("j{},{:.0f},{:.1f},{},u{}\n", i, at, runtime, 1 << rng.below(3), owner);
  }
  const auto made =
      workload("name,cpu_milli,memory_mib,gpu\na,1,1,8\nb,1,1,8\n", jobs, "queue\ndefault\n");
  ASSERT_TRUE(made) << made.error().to_string();
  core::PolicySet policy;
  const auto result = run_cluster({&*made, policy, 1, {}, 10, true}, Still());
  ASSERT_TRUE(result);
  ASSERT_GT(result->predicted, 100u);
  EXPECT_NEAR(result->within_50_percent, 50, 12);
  EXPECT_NEAR(result->within_90_percent, 90, 7);
}

TEST(RunningJobs, LoseWhatTheyDidSinceTheirLastCheckpoint) {
  RunningJob job(Duration::seconds(100), Duration::seconds(30), 2, 2);
  EXPECT_FALSE(job.bind(0, Time{}));
  EXPECT_TRUE(job.bind(1, Time{} + Duration::seconds(10)));
  EXPECT_EQ(job.end(), Time{} + Duration::seconds(110));
  EXPECT_EQ(job.stop(0, Time{} + Duration::seconds(80)), Duration::seconds(10));
  EXPECT_EQ(job.stop(1, Time{} + Duration::seconds(85)), Duration{});
  job.bind(0, Time{} + Duration::seconds(200));
  EXPECT_TRUE(job.bind(1, Time{} + Duration::seconds(200)));
  EXPECT_EQ(job.end(), Time{} + Duration::seconds(240));
}

}  // namespace
}  // namespace berth::simulation
