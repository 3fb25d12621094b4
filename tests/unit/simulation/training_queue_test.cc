#include "simulation/training_queue.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "core/sharing/time_slicing/policy.h"
#include "core/sharing/time_slicing/uncertain.h"

namespace berth::simulation {
namespace {

using traces::TrainingJob;

TEST(TrainingQueue, OneJobRunsThroughItsRounds) {
  const std::vector<TrainingJob> jobs = {{"a", 130, 2, 300, ""}};
  const auto result = run_training_queue({jobs, 2, "fifo"});
  ASSERT_TRUE(result);
  // It arrives in the second round and starts with the third.
  EXPECT_DOUBLE_EQ(result->makespan_s, 240 + 300);
  EXPECT_DOUBLE_EQ(result->mean_jct_s, 410);
  EXPECT_DOUBLE_EQ(result->worst_ftf, 410.0 / 300);
  EXPECT_EQ(result->rounds.size(), 5u);
  EXPECT_TRUE(result->rounds[1].empty());
}

TEST(TrainingQueue, AStartCostsItsTimeAndOnlyRestartsAreCounted) {
  const std::vector<TrainingJob> jobs = {{"a", 0, 1, 100, ""}, {"b", 0, 1, 60, ""}};
  TrainingQueueRun run{jobs, 1, "fifo"};
  run.restart_cost_s = 60;
  const auto result = run_training_queue(run);
  ASSERT_TRUE(result);
  // a: 60 s lost, 60 of work, 40 more; b starts with the third round.
  EXPECT_DOUBLE_EQ(result->finish_s[0], 160);
  EXPECT_DOUBLE_EQ(result->finish_s[1], 240 + 60 + 60);
  EXPECT_EQ(result->restarts, 0u);
}

/// Every policy, on random queues: no round uses more than there is, nothing runs before it
/// arrives, and every job gets exactly its time.
TEST(TrainingQueue, SchedulesAreValid) {
  for (const core::TimeSlicingPolicy& policy : core::time_slicing_policies()) {
    for (uint64_t seed = 1; seed <= 2; ++seed) {
      SCOPED_TRACE(std::string(policy.name) + ", seed " + std::to_string(seed));
      Rng rng(seed);
      std::vector<TrainingJob> jobs;
      for (int i = 0; i < 12; ++i) {
        jobs.push_back({std::to_string(i), 2000 * rng.uniform(), 1 << rng.below(3),
                        rng.exponential(1500) + 1, std::to_string(rng.below(3))});
      }
      for (const RuntimeKnowledge runtime :
           {RuntimeKnowledge::kKnown, RuntimeKnowledge::kNoisy, RuntimeKnowledge::kUnknown}) {
        TrainingQueueRun run{jobs, 8, policy.name, runtime, 30, seed};
        const auto result = run_training_queue(run);
        if (policy.needs_estimates && runtime == RuntimeKnowledge::kUnknown) {
          EXPECT_FALSE(result);
          continue;
        }
        ASSERT_TRUE(result);
        std::vector<int> held(jobs.size());
        for (size_t round = 0; round < result->rounds.size(); ++round) {
          int used = 0;
          for (uint32_t row : result->rounds[round]) {
            used += jobs[row].devices;
            ++held[row];
            ASSERT_LE(jobs[row].arrival_s, 120.0 * static_cast<double>(round));
          }
          ASSERT_LE(used, 8);
        }
        for (size_t i = 0; i < jobs.size(); ++i) ASSERT_GE(120 * held[i], jobs[i].runtime_s);
        EXPECT_EQ(run_training_queue(run)->rounds, result->rounds);
      }
    }
  }
}

TEST(TrainingQueue, BadRunsAreRefused) {
  const std::vector<TrainingJob> jobs = {{"a", 0, 4, 100, ""}};
  EXPECT_EQ(run_training_queue({jobs, 2}).error().what, "job `a` wants 4 GPUs of 2");
  EXPECT_EQ(run_training_queue({jobs, 4, "fito"}).error().what, "unknown policy `fito`");
  EXPECT_EQ(run_training_queue({jobs, 4, "srtf", RuntimeKnowledge::kUnknown}).error().where,
            "--runtime");
}

std::vector<TrainingJob> shared_jobs() {
  const auto path = std::filesystem::path(BERTH_SOURCE_DIR) /
                    "../shared/traces/training-queue/jobs-120-on-32.csv";
  if (!std::filesystem::exists(path)) return {};
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  const std::string content = std::move(text).str();
  return traces::read_training_jobs(content, "jobs").value();
}

TEST(TrainingQueue, PlainRulesReachWhatIsKnownOfThem) {
  const std::vector<TrainingJob> jobs = shared_jobs();
  if (jobs.empty()) GTEST_SKIP() << "the training-queue trace is not in ../shared";
  const auto fifo = run_training_queue({jobs, 32, "fifo"});
  EXPECT_NEAR(fifo->makespan_s, 31321, 1);
  EXPECT_NEAR(fifo->mean_jct_s, 9260, 1);
  const auto srtf = run_training_queue({jobs, 32, "srtf"});
  EXPECT_NEAR(srtf->makespan_s, 30841, 1);
  EXPECT_NEAR(srtf->mean_jct_s, 7061, 1);
  EXPECT_NEAR(srtf->worst_ftf, 0.72, 0.005);
}

TEST(TrainingQueue, NoisyTimesAreWorthLessThanKnownAndMoreThanUnknown) {
  const std::vector<TrainingJob> jobs = shared_jobs();
  if (jobs.empty()) GTEST_SKIP() << "the training-queue trace is not in ../shared";
  const auto unknown = run_training_queue({jobs, 32, "berth", RuntimeKnowledge::kUnknown, 60});
  TrainingQueueResult mean;
  constexpr int kSeeds = 30;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const auto noisy = run_training_queue({jobs, 32, "berth", RuntimeKnowledge::kNoisy, 60, seed});
    mean.makespan_s += noisy->makespan_s / kSeeds;
    mean.mean_jct_s += noisy->mean_jct_s / kSeeds;
    mean.worst_ftf += noisy->worst_ftf / kSeeds;
    mean.unfair_percent += noisy->unfair_percent / kSeeds;
    EXPECT_LT(noisy->restart_percent, 2);
  }
  EXPECT_GT(mean.makespan_s, 21'017);  // known
  EXPECT_LT(mean.makespan_s, unknown->makespan_s);
  EXPECT_GT(mean.mean_jct_s, 7'260);
  EXPECT_LT(mean.mean_jct_s, unknown->mean_jct_s);
  EXPECT_LT(mean.worst_ftf, unknown->worst_ftf);
  EXPECT_LT(mean.unfair_percent, unknown->unfair_percent);
}

core::SliceView view_of(const std::vector<core::SliceJob>& jobs,
                        const std::vector<core::PastJob>& past, int devices) {
  core::SliceView view;
  view.devices = devices;
  view.contention = 4;
  view.jobs = jobs;
  view.past = past;
  return view;
}

TEST(UncertainEstimates, AreOffByWhatEndedAndWhatOverran) {
  const std::vector<core::SliceJob> jobs = {{.id = 0, .attained_s = 100, .estimate_s = 200}};
  EXPECT_EQ(core::estimate_error(view_of(jobs, {}, 1)), 0);
  EXPECT_EQ(core::estimate_error(view_of(jobs, {{0, 300, 300}, {0, 50}}, 1)), 0);
  const std::vector<core::SliceJob> overran = {{.id = 0, .attained_s = 400, .estimate_s = 200}};
  EXPECT_NEAR(core::estimate_error(view_of(overran, {{0, 600, 300}, {0, 150, 300}}, 1)),
              std::log(2) * std::sqrt(3.0 / 4), 1e-12);
}

TEST(UncertainEstimates, StartWhatMayBeLongBeforeWhatIsShort) {
  // On two devices all the work takes half an hour; the first may, for all that is known, as well.
  const std::vector<core::SliceJob> jobs = {
      {.id = 0, .estimate_s = 1500}, {.id = 1, .estimate_s = 500}, {.id = 2, .estimate_s = 300}};
  EXPECT_EQ(core::uncertain_order(view_of(jobs, {}, 2), 0.5), (std::vector<size_t>{0, 2, 1}));
  EXPECT_EQ(core::uncertain_order(view_of(jobs, {}, 1), 0.5), (std::vector<size_t>{2, 1, 0}));
}

/// The figures with known times are checked by the benchmark: it plans too long for a debug build.
TEST(TrainingQueue, BerthKeepsItsFiguresWithUnknownTimes) {
  const std::vector<TrainingJob> jobs = shared_jobs();
  if (jobs.empty()) GTEST_SKIP() << "the training-queue trace is not in ../shared";
  TrainingQueueRun run{jobs, 32, "berth", RuntimeKnowledge::kUnknown, 60};
  const auto unknown = run_training_queue(run);
  EXPECT_LT(unknown->makespan_s, 30000);
  EXPECT_LT(unknown->mean_jct_s, 9800);
  EXPECT_LT(unknown->worst_ftf, 2.0);
  EXPECT_LE(unknown->unfair_percent, 12);
  EXPECT_LT(unknown->restart_percent, 2);
}

}  // namespace
}  // namespace berth::simulation
