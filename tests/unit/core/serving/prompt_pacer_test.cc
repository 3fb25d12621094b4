#include "core/serving/prompt_pacer.h"

#include <gtest/gtest.h>

namespace berth::core {
namespace {

/// A prompt of 1,000 tokens takes 0.1 s of work, and a replica does 0.8 s of it a second.
constexpr PromptPacer kPacer{
    .rates = {.per_prompt_token_s = 1e-4, .capacity = 0.8, .iteration_s = 0.01},
    .ttft = Duration::seconds(2)};

TEST(PromptPacer, PromptsAreHeldApartByTheirWork) {
  EXPECT_NEAR(kPacer.spacing(1000, 50, {}).to_seconds(), 0.1 / (0.8 * PromptPacer::kCalm), 1e-9);
}

TEST(PromptPacer, UrgentOnesGoFaster) {
  const double urgent_s = 0.1 / (0.8 * PromptPacer::kUrgent);
  const Duration patience = kPacer.patience(1000);
  EXPECT_NEAR(patience.to_seconds(), 2 - 0.1 - 2 * 0.01, 1e-9);
  EXPECT_NEAR(kPacer.spacing(1000, 50, patience).to_seconds(), urgent_s, 1e-9);
  EXPECT_NEAR(kPacer.spacing(1000, 50, patience * 3).to_seconds(), urgent_s, 1e-9) << "no more so";
}

TEST(PromptPacer, OneThatCanNeverBeInTimeIsAsUrgentAsAny) {
  EXPECT_NEAR(kPacer.spacing(100'000, 50, Duration::seconds(1)).to_seconds(),
              10 / (0.8 * PromptPacer::kUrgent), 1e-9);
}

}  // namespace
}  // namespace berth::core
