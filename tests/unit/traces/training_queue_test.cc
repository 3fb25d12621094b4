#include "traces/training_queue.h"

#include <gtest/gtest.h>

namespace berth::traces {
namespace {

std::string error_of(std::string_view text) {
  const auto jobs = read_training_jobs(text, "jobs.csv");
  return jobs ? "no error" : jobs.error().to_string();
}

TEST(TrainingJobs, AreRead) {
  const auto jobs = read_training_jobs("job,arrival_s,gpus,runtime_s,model\na,1.5,2,300,LM\n", "j");
  ASSERT_TRUE(jobs);
  ASSERT_EQ(jobs->size(), 1u);
  EXPECT_EQ((*jobs)[0].name, "a");
  EXPECT_EQ((*jobs)[0].devices, 2);
  EXPECT_DOUBLE_EQ((*jobs)[0].arrival_s, 1.5);
}

TEST(TrainingJobs, AreRefusedWithAPosition) {
  EXPECT_EQ(error_of("job,arrival,gpus,runtime_s\n"),
            "jobs.csv:1:1: there is no column `arrival_s`; rename `arrival` to `arrival_s`");
  EXPECT_EQ(error_of("job,arrival_s,gpus,runtime_s\na,0,0,10\n"),
            "jobs.csv:2:5: gpus is `0`; write a whole number of at least 1");
  EXPECT_EQ(error_of("job,arrival_s,gpus,runtime_s\na,0,1,-3\n"),
            "jobs.csv:2:7: runtime_s is `-3`; write a number of at least 0");
  EXPECT_EQ(error_of("job,arrival_s,gpus,runtime_s\na,0,1,3\na,0,1,3\n"),
            "jobs.csv:3:1: job `a` is there twice; give each job a name of its own");
}

}  // namespace
}  // namespace berth::traces
