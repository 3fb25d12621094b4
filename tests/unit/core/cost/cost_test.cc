#include <gtest/gtest.h>

#include "core/cost/budget.h"
#include "core/cost/focus.h"
#include "core/cost/ledger.h"

namespace berth::core {
namespace {

constexpr Time kStart{1'700'000'000'000'000'000};

Time at(int64_t seconds) {
  return kStart + Duration::seconds(seconds);
}

PriceList prices() {
  PriceList list;
  list.set("H100", {3'600'000}, Time{INT64_MIN});  // 0.001 a second
  list.set(kNodeHour, {360'000}, Time{INT64_MIN});
  return list;
}

CostInterval pod(const std::string& uid, int64_t from_s, int64_t milli_devices) {
  return {.pod_uid = uid,
          .start = at(from_s),
          .end = std::nullopt,
          .node = "n",
          .owner = {"research", "team-a", "llama", "job-" + uid},
          .overhead = false,
          .holds = {{"H100", milli_devices}}};
}

TEST(PriceList, ChangesApplyFromTheirInstant) {
  PriceList list = prices();
  list.set("H100", {7'200'000}, at(10));
  EXPECT_EQ(list.at("H100", at(9)).micro, 3'600'000);
  EXPECT_EQ(list.at("H100", at(10)).micro, 7'200'000);
  EXPECT_EQ(list.cost("H100", 1000, at(0), at(20)).floor().micro, 10'000 + 20'000);
  EXPECT_EQ(list.cost("unknown", 1000, at(0), at(20)).floor().micro, 0);
}

TEST(PriceList, WhatIsSaidLaterLeavesThePastAsItWasBilled) {
  const Time always{INT64_MIN};
  PriceList said;
  said.set("H100", {1}, always);
  PriceList kept = PriceList().revised(said, at(0));
  EXPECT_EQ(kept.at("H100", at(-5)).micro, 1) << "what had no price reaches back";
  EXPECT_EQ(kept.revised(said, at(5)), kept) << "the same again changes nothing";

  PriceList dearer;
  dearer.set("H100", {2}, always);
  dearer.set("H100", {3}, at(20));
  kept = kept.revised(dearer, at(10));
  EXPECT_EQ(kept.at("H100", at(9)).micro, 1);
  EXPECT_EQ(kept.at("H100", at(10)).micro, 2);
  EXPECT_EQ(kept.at("H100", at(20)).micro, 3);

  kept = kept.revised(PriceList(), at(15));
  EXPECT_EQ(kept.at("H100", at(14)).micro, 2);
  EXPECT_EQ(kept.at("H100", at(30)).micro, 0) << "no longer named, and what was to come with it";

  PriceList corrected;
  corrected.set("H100", {7}, at(2));
  kept = kept.revised(corrected, at(16));
  EXPECT_EQ(kept.at("H100", at(1)).micro, 1);
  EXPECT_EQ(kept.at("H100", at(3)).micro, 7) << "what dates itself reaches back";
}

TEST(Ledger, WhatNobodyHeldIsIdle) {
  CostLedger ledger;
  ledger.on_node("n", {{"H100", 2000}, {kNodeHour, 1000}}, at(0));
  ledger.on_start(pod("a", 0, 1000));
  ledger.on_end("a", at(0), at(50));
  const CostReport report = ledger.report(prices(), CostDimension::kQueue, at(0), at(100));
  EXPECT_EQ(report.total.micro, 200'000 + 10'000);
  EXPECT_EQ(report.allocated.micro, 50'000);
  EXPECT_EQ(report.idle.micro, 160'000);
  EXPECT_EQ(report.overhead.micro, 0);
  ASSERT_EQ(report.rows.size(), 1u);
  EXPECT_EQ(report.rows[0].key, "research");
  EXPECT_EQ(report.rows[0].device_time, Duration::seconds(50));
}

TEST(Ledger, TheSameEventTwiceChangesNothing) {
  CostLedger ledger;
  for (int i = 0; i < 2; ++i) {
    ledger.on_node("n", {{"H100", 1000}}, at(0));
    ledger.on_start(pod("a", 0, 1000));
    ledger.on_end("a", at(0), at(10));
    ledger.on_end("a", at(0), at(90));    // it ended once
    ledger.on_start(pod("a", 20, 1000));  // the same pod, started again
    ledger.on_end("a", at(20), at(30));
  }
  const CostReport report = ledger.report(prices(), CostDimension::kJob, at(0), at(100));
  EXPECT_EQ(report.allocated.micro, 20'000);
  EXPECT_EQ(report.total.micro, 100'000);
}

TEST(Ledger, OverheadIsNobodys) {
  CostLedger ledger;
  ledger.on_node("n", {{"H100", 1000}}, at(0));
  CostInterval system = pod("s", 0, 250);
  system.overhead = true;
  ledger.on_start(system);
  const CostReport report = ledger.report(prices(), CostDimension::kTenant, at(0), at(100));
  EXPECT_TRUE(report.rows.empty());
  EXPECT_EQ(report.overhead.micro, 25'000);
  EXPECT_EQ(report.idle.micro, 75'000);
}

TEST(Ledger, ANodeIsPaidForOnlyWhileItIsThere) {
  CostLedger ledger;
  ledger.on_node("n", {{"H100", 1000}}, at(0));
  ledger.on_node_gone("n", at(40));
  ledger.on_node("n", {{"H100", 1000}}, at(60));
  EXPECT_EQ(ledger.report(prices(), CostDimension::kQueue, at(0), at(100)).total.micro, 80'000);
  ledger.forget_before(at(50));
  EXPECT_EQ(ledger.report(prices(), CostDimension::kQueue, at(0), at(100)).total.micro, 40'000);
}

TEST(Ledger, AModelIsPaidByThoseWhoAskedIt) {
  CostLedger ledger;
  ledger.on_node("n", {{"H100", 8000}}, at(0));
  ledger.on_start(pod("a", 0, 1000));
  CostInterval training = pod("b", 0, 2000);
  training.owner = {"research", "team-b", "", "training"};
  ledger.on_start(training);
  CostInterval unasked = pod("c", 0, 1000);
  unasked.owner = {"research", "team-c", "quiet", "quiet"};
  ledger.on_start(unasked);
  const CostReport report =
      ledger.report(prices(), CostDimension::kConsumer, at(0), at(100),
                    {{{"team-b", "llama"}, 1}, {{"team-d", "llama"}, 2}, {{"team-e", "gone"}, 5}});
  // llama took 100,000: a third is team-b's, beside its own 200,000; team-a owns the pod and asked
  // nothing.
  ASSERT_EQ(report.rows.size(), 3U);
  EXPECT_EQ(report.rows[0].key, "team-b");
  EXPECT_EQ(report.rows[0].cost.micro, 200'000 + 33'333);
  EXPECT_EQ(report.rows[0].device_time, Duration::seconds(200) + Duration{33'333'333'333});
  EXPECT_EQ(report.rows[1].key, "team-c");
  EXPECT_EQ(report.rows[1].cost.micro, 100'000);
  EXPECT_EQ(report.rows[2].key, "team-d");
  EXPECT_EQ(report.rows[2].cost.micro, 66'667) << "nothing is lost by rounding";
  EXPECT_EQ(report.allocated,
            ledger.report(prices(), CostDimension::kQueue, at(0), at(100)).allocated);
}

TEST(Ledger, TokensCostWhatTheirDevicesDid) {
  EXPECT_EQ(cost_per_million_tokens({5'000'000}, 2'500'000)->micro, 2'000'000);
  EXPECT_FALSE(cost_per_million_tokens({5'000'000}, 0));
}

TEST(Budget, PeriodsAreTheCalendars) {
  const Time leap = *parse_time("2028-02-29T12:00:00Z");
  EXPECT_EQ(budget_period(Budget::Period::kMonth, leap).start, *parse_time("2028-02-01T00:00:00Z"));
  EXPECT_EQ(budget_period(Budget::Period::kMonth, leap).end, *parse_time("2028-03-01T00:00:00Z"));
  const Time sunday = *parse_time("2026-11-22T23:59:59Z");
  EXPECT_EQ(budget_period(Budget::Period::kWeek, sunday).start,
            *parse_time("2026-11-16T00:00:00Z"));
  EXPECT_EQ(budget_period(Budget::Period::kDay, sunday).end, *parse_time("2026-11-23T00:00:00Z"));
  const Time december = *parse_time("2026-12-31T23:00:00Z");
  EXPECT_EQ(budget_period(Budget::Period::kMonth, december).end,
            *parse_time("2027-01-01T00:00:00Z"));
}

TEST(Budget, AlertsBeforeItIsSpentAndThenDoesAsItSays) {
  const Time noon = *parse_time("2026-11-23T12:00:00Z");
  Budget budget{.amount = {100'000'000}, .period = Budget::Period::kDay};
  EXPECT_FALSE(judge(budget, {50'000'000}, {1'000'000}, noon).alert);
  EXPECT_TRUE(judge(budget, {80'000'000}, {0}, noon).alert);
  const BudgetDecision fast = judge(budget, {50'000'000}, {10'000'000}, noon);
  EXPECT_TRUE(fast.alert);
  EXPECT_EQ(fast.spent_by, *parse_time("2026-11-23T17:00:00Z"));
  EXPECT_FALSE(fast.block);
  EXPECT_FALSE(judge(budget, {100'000'000}, {0}, noon).block);
  budget.on_exceeded = Budget::OnExceeded::kBlock;
  EXPECT_TRUE(judge(budget, {100'000'000}, {0}, noon).block);
  EXPECT_FALSE(judge(budget, {100'000'000}, {0}, noon).preempt);
  budget.on_exceeded = Budget::OnExceeded::kPreempt;
  EXPECT_TRUE(judge(budget, {100'000'000}, {0}, noon).preempt);
}

TEST(Focus, BilledCostSumsToTheTotal) {
  CostLedger ledger;
  ledger.on_node("n", {{"H100", 2000}, {kNodeHour, 1000}}, at(0));
  CostInterval quoted = pod("a", 3, 333);
  quoted.owner.job = "a \"job\", with commas";
  ledger.on_start(quoted);
  const std::string csv = focus_csv(ledger, prices(), "EUR", at(0), at(100));
  EXPECT_TRUE(csv.starts_with("BilledCost,BillingAccountId,"));
  EXPECT_NE(csv.find("\"a \"\"job\"\", with commas\""), std::string::npos);
  int64_t billed = 0;
  for (size_t line = csv.find('\n') + 1; line < csv.size(); line = csv.find('\n', line) + 1)
    billed += static_cast<int64_t>(1e6 * std::stod(csv.substr(line)) + 0.5);
  EXPECT_EQ(billed, ledger.report(prices(), CostDimension::kQueue, at(0), at(100)).total.micro);
}

}  // namespace
}  // namespace berth::core
