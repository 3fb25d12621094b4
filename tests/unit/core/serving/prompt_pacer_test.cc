#include "core/serving/prompt_pacer.h"

#include <gtest/gtest.h>

namespace berth::core {
namespace {

const WorkRates kRates{.capacity = 0.8};

TEST(PromptPacer, PromptsAreHeldApartByTheirWork) {
  PromptPacer pacer;
  EXPECT_LE(pacer.free_s(), 0);
  pacer.on_dispatch(10, 0.1, 0, kRates);
  EXPECT_DOUBLE_EQ(pacer.free_s(), 10 + 0.1 / (0.8 * PromptPacer::kCalm));
}

TEST(PromptPacer, UrgentOnesGoFaster) {
  PromptPacer calm, urgent;
  calm.on_dispatch(0, 0.1, 0, kRates);
  urgent.on_dispatch(0, 0.1, 1, kRates);
  EXPECT_LT(urgent.free_s(), calm.free_s());
  EXPECT_DOUBLE_EQ(urgent.free_s(), 0.1 / (0.8 * PromptPacer::kUrgent));
}

TEST(PromptPacer, IdleTimeIsNotSavedUp) {
  PromptPacer pacer;
  pacer.on_dispatch(0, 0.1, 1, kRates);
  pacer.on_dispatch(100, 0.1, 1, kRates);
  EXPECT_GT(pacer.free_s(), 100);
}

}  // namespace
}  // namespace berth::core
