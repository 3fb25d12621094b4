#include <filesystem>
#include <fstream>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "cli/cost/objects_ledger.h"
#include "cli/cost/prices.h"

namespace berth::cli {
namespace {

Time at(const char* text) {
  return *parse_time(text);
}

const Json kNode = boost::json::parse(R"({"kind": "Node",
  "metadata": {"name": "n", "creationTimestamp": "2026-11-23T00:00:00Z",
               "labels": {"nvidia.com/gpu.product": "H100"}},
  "status": {"capacity": {"cpu": "10", "memory": "64Gi", "nvidia.com/gpu": "2"}}})");

Json pod(const std::string& uid, const std::string& ns, const std::string& gpus,
         const std::string& rest = "") {
  return boost::json::parse(fmt::format(
      R"({{"metadata": {{"name": "{0}", "uid": "{0}", "namespace": "{1}",
           "labels": {{"berth.dev/queue": "research"}},
           "ownerReferences": [{{"name": "train", "controller": true}}]}},
        "spec": {{"nodeName": "n", "containers": [{{"resources": {{"requests":
           {{"cpu": "1", "nvidia.com/gpu": "{2}"}}}}}}]}},
        "status": {{"startTime": "2026-11-23T01:00:00Z",
           "conditions": [{{"type": "PodScheduled", "status": "True",
                            "lastTransitionTime": "2026-11-23T01:00:00Z"}}]{3}}}}})",
      uid, ns, gpus, rest));
}

core::PriceList prices() {
  core::PriceList list;
  list.set("H100", {4'000'000}, Time{INT64_MIN});
  list.set(core::kNodeHour, {1'000'000}, Time{INT64_MIN});
  return list;
}

TEST(ObjectsLedger, APodPaysForWhatItHoldsFromItsBindingToItsEnd) {
  const auto ledger = ledger_of({kNode},
                                {pod("a", "team", "1",
                                     R"(, "phase": "Succeeded", "containerStatuses":
              [{"state": {"terminated": {"finishedAt": "2026-11-23T03:00:00Z"}}}])"),
                                 pod("b", "kube-system", "0")},
                                prices());
  const auto report = ledger.report(prices(), core::CostDimension::kJob, at("2026-11-23T00:00:00Z"),
                                    at("2026-11-23T10:00:00Z"));
  ASSERT_EQ(report.rows.size(), 1u);
  EXPECT_EQ(report.rows[0].key, "train");
  // Two hours of one H100 and of a tenth of the node.
  EXPECT_EQ(report.rows[0].cost.micro, 2 * 4'000'000 + 2 * 100'000);
  EXPECT_EQ(report.rows[0].device_time, Duration::hours(2));
  EXPECT_EQ(report.overhead.micro, 9 * 100'000);
  EXPECT_EQ(report.total.micro, 10 * (2 * 4'000'000 + 1'000'000));
  EXPECT_EQ(report.allocated + report.idle + report.overhead, report.total);
}

TEST(ObjectsLedger, WhatRunsIsPaidForUntilNowAndWhatIsNotBoundNotAtAll) {
  Json waiting = pod("c", "team", "1");
  waiting.at("spec").as_object().erase("nodeName");
  const auto ledger = ledger_of({kNode}, {pod("a", "team", "1"), waiting}, prices());
  const auto report = ledger.report(prices(), core::CostDimension::kTenant,
                                    at("2026-11-23T01:00:00Z"), at("2026-11-23T01:30:00Z"));
  ASSERT_EQ(report.rows.size(), 1u);
  EXPECT_EQ(report.rows[0].key, "team");
  EXPECT_EQ(report.rows[0].cost.micro, 2'000'000 + 50'000);
}

TEST(Prices, AreThoseOfTheConfiguration) {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("prices-{}", getpid());
  std::ofstream(path) << R"(apiVersion: config.berth.dev/v1alpha1
kind: BerthConfiguration
prices:
- {accelerator: H100, perHour: 2.5, currency: EUR}
- {accelerator: H100, perHour: 2, currency: EUR, from: "2027-01-01T00:00:00Z"}
)";
  const auto read = read_prices(path.string());
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(read->currency, "EUR");
  EXPECT_EQ(read->list.at("H100", at("2026-12-31T23:59:59Z")).micro, 2'500'000);
  EXPECT_EQ(read->list.at("H100", at("2027-01-01T00:00:00Z")).micro, 2'000'000);
  std::ofstream(path) << "kind: Pod\n";
  EXPECT_FALSE(read_prices(path.string()));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace berth::cli
