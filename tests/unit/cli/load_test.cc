#include <cmath>

#include <gtest/gtest.h>

#include "cli/load/outcome.h"
#include "cli/load/plan.h"

namespace berth::cli {
namespace {

TEST(Length, ReadsAndDraws) {
  Rng rng(1);
  EXPECT_EQ(Length::parse("", "128")->draw(rng), 128);
  const Length uniform = *Length::parse("", "uniform:10..12");
  const Length skewed = *Length::parse("", "lognormal:100:1.5");
  EXPECT_EQ(Length::parse("", "uniform:40..40")->times(0.25).draw(rng), 10);
  EXPECT_EQ(Length::parse("", "10")->times(0.01).draw(rng), 1);
  double sum = 0;
  for (int i = 0; i < 20'000; ++i) {
    const int length = uniform.draw(rng);
    EXPECT_TRUE(length >= 10 && length <= 12) << length;
    sum += skewed.draw(rng);
  }
  EXPECT_NEAR(sum / 20'000, 100, 5);
  for (const char* text :
       {"", "0", "-1", "x", "uniform:5", "uniform:9..2", "exp:", "lognormal:1", "1e99", "nan"})
    EXPECT_FALSE(Length::parse("--input-tokens", text)) << text;
}

LoadShape shape(Arrivals arrivals) {
  return {.arrivals = arrivals,
          .rate_per_s = 20,
          .duration_s = 1000,
          .input = *Length::parse("", "5"),
          .output = *Length::parse("", "7")};
}

/// Mean and coefficient of variation of the gaps.
std::pair<double, double> gaps(LoadPlan plan) {
  PlannedRequest request;
  double last = 0, sum = 0, squares = 0, count = 0;
  while (plan.next(request)) {
    const double gap = request.at_s - last;
    last = request.at_s;
    sum += gap;
    squares += gap * gap;
    ++count;
  }
  const double mean = sum / count;
  return {mean, std::sqrt(squares / count - mean * mean) / mean};
}

TEST(LoadPlan, ArrivalsHaveTheirRateAndBurstiness) {
  const auto [poisson_mean, poisson_cv] = gaps(LoadPlan(shape(Arrivals::kPoisson), {}, 1));
  EXPECT_NEAR(poisson_mean, 0.05, 0.002);
  EXPECT_NEAR(poisson_cv, 1, 0.05);
  LoadShape bursty = shape(Arrivals::kGamma);
  bursty.cv = 3;
  const auto [gamma_mean, gamma_cv] = gaps(LoadPlan(bursty, {}, 1));
  EXPECT_NEAR(gamma_mean, 0.05, 0.006);
  EXPECT_NEAR(gamma_cv, 3, 0.3);
}

TEST(LoadPlan, ATraceIsPlayedAtItsSpeed) {
  LoadShape traced = shape(Arrivals::kTrace);
  traced.speed = 2;
  LoadPlan plan(traced,
                {{.id = "a",
                  .arrival_s = 3,
                  .prompt_tokens = 9,
                  .output_tokens = 2,
                  .first_token_s = {},
                  .last_token_s = {}}},
                1);
  PlannedRequest request;
  ASSERT_TRUE(plan.next(request));
  EXPECT_EQ(request.at_s, 1.5);
  EXPECT_EQ(request.input_tokens, 9);
  EXPECT_FALSE(plan.next(request));
}

TEST(AnswerWatch, MeasuresAStream) {
  AnswerWatch watch;
  watch.on_bytes("data: {\"choices\":[{\"text\":\"a\"}]}\n\nda", 1.5, true);
  watch.on_bytes("ta: {\"choices\":[{\"text\":\"b\"}]}\n\n", 1.7, true);
  watch.on_bytes(
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":3}}\n\n"
      "data: [DONE]\n\n",
      1.9, true);
  const RequestOutcome outcome = watch.finish(1, 2, 200, "", true);
  EXPECT_EQ(outcome.error, "");
  EXPECT_EQ(outcome.output_tokens, 3);
  EXPECT_DOUBLE_EQ(*outcome.ttft_s, 0.5);
  EXPECT_NEAR(*outcome.tpot_s, 0.1, 1e-9);
}

TEST(AnswerWatch, NamesWhatWentWrong) {
  AnswerWatch refused;
  refused.on_bytes(R"({"error":{"code":"queue_full"}})", 1, false);
  EXPECT_EQ(refused.finish(0, 1, 429, "", true).error, "HTTP 429 queue_full");
  AnswerWatch cut;
  cut.on_bytes("data: {\"choices\":[1]}\n\n", 1, true);
  EXPECT_EQ(cut.finish(0, 1, 200, "", true).error, "no [DONE] at the end");
  AnswerWatch told;
  told.on_bytes("data: {\"error\":{\"message\":\"m\",\"code\":\"upstream_cut\"}}\n\n", 1, true);
  EXPECT_EQ(told.finish(0, 1, 200, "", true).error, "upstream_cut");
}

TEST(LoadSummary, CountsErrorsApart) {
  const LoadSummary summary = summarise(
      {{.e2e_s = 1, .output_tokens = 5}, {.e2e_s = 3, .output_tokens = 5}, {.error = "HTTP 503"}},
      2);
  EXPECT_EQ(summary.ok, 2);
  EXPECT_EQ(summary.failed(), 1);
  EXPECT_EQ(summary.e2e_s->p50, 1);
  EXPECT_EQ(summary.e2e_s->max, 3);
  EXPECT_EQ(to_json(summary).at("output_tokens_per_s").to_number<double>(), 5);
}

}  // namespace
}  // namespace berth::cli
