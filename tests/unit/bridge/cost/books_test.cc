#include "bridge/cost/books.h"

#include <filesystem>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace berth::bridge {
namespace {

Time at(const std::string& clock) {
  return *parse_time("2026-11-23T" + clock + ":00Z");
}

const Json kNode = boost::json::parse(R"({"kind": "Node",
  "metadata": {"name": "n", "uid": "u", "creationTimestamp": "2026-11-23T00:00:00Z",
               "labels": {"nvidia.com/gpu.product": "H100"}},
  "status": {"capacity": {"cpu": "10", "memory": "64Gi", "nvidia.com/gpu": "2"},
             "allocatable": {"cpu": "9", "memory": "64Gi", "nvidia.com/gpu": "2"}}})");

Json pod(const std::string& uid, const std::string& gpus, const std::string& ended = "") {
  const std::string status = ended.empty()
                                 ? ""
                                 : fmt::format(R"(, "phase": "Succeeded", "containerStatuses":
                        [{{"state": {{"terminated": {{"finishedAt": "2026-11-23T{}:00Z"}}}}}}])",
                                               ended);
  return boost::json::parse(fmt::format(
      R"({{"metadata": {{"name": "{0}", "uid": "{0}", "namespace": "team"}},
        "spec": {{"nodeName": "n", "containers": [{{"resources": {{"requests":
           {{"cpu": "1", "nvidia.com/gpu": "{1}"}}}}}}]}},
        "status": {{"conditions": [{{"type": "PodScheduled", "status": "True",
                      "lastTransitionTime": "2026-11-23T01:00:00Z"}}]{2}}}}})",
      uid, gpus, status));
}

core::CostOwner owner(const std::string& job) {
  return {"research", "team", "llama", job};
}

core::PriceList prices(int64_t h100 = 4'000'000) {
  core::PriceList list;
  list.set("H100", {h100}, Time{INT64_MIN});
  list.set(core::kNodeHour, {1'000'000}, Time{INT64_MIN});
  return list;
}

class BooksTest : public testing::Test {
 protected:
  BooksTest() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
    open();
    EXPECT_TRUE(books_->set_prices(prices(), "USD", at("00:00")));
    books_->on_node(kNode, at("00:00"));
    keep("1");
  }
  ~BooksTest() override { std::filesystem::remove_all(folder_); }

  /// As after a kill: what was not kept is gone.
  void open() {
    books_.reset();
    auto books = Books::open(folder_ / "ledger.db");
    ASSERT_TRUE(books) << books.error().to_string();
    books_.emplace(*std::move(books));
  }
  void keep(const std::string& cursor) { ASSERT_TRUE(books_->keep(cursor)); }
  Json report(const std::string& from, const std::string& to,
              core::CostDimension by = core::CostDimension::kJob) {
    if (books_->changed()) keep("x");
    return *books_->report(by, at(from), at(to));
  }
  int64_t cost(const std::string& key, const std::string& to = "10:00") {
    const Json told = report("00:00", to);
    for (const Json& row : objects::find_array(told, {"rows"}))
      if (objects::find_string(row, {"key"}) == key) return objects::find_int(row, {"costMicro"});
    return -1;
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / fmt::format("berth-books-{}", getpid());
  std::optional<Books> books_;
};

TEST_F(BooksTest, APodPaysForWhatItHoldsFromItsBindingToItsEndAndTheRestIsIdleOrOverhead) {
  books_->on_pod(pod("a", "1"), kNode, owner("train"), at("01:01"));
  books_->on_pod(pod("a", "1", "03:00"), kNode, owner("train"), at("03:05"));
  const Json told = report("00:00", "10:00");
  EXPECT_EQ(cost("train"), 2 * 4'000'000 + 2 * 100'000);
  EXPECT_EQ(objects::find_int(told, {"totalMicro"}), 10 * (2 * 4'000'000 + 1'000'000));
  // One CPU of ten is the system's.
  EXPECT_EQ(objects::find_int(told, {"overheadMicro"}), 10 * 100'000);
  EXPECT_EQ(objects::find_int(told, {"allocatedMicro"}) + objects::find_int(told, {"idleMicro"}) +
                objects::find_int(told, {"overheadMicro"}),
            objects::find_int(told, {"totalMicro"}));
  EXPECT_EQ(objects::find_int(told, {"pricesMicro", "H100"}), 4'000'000) << "an hour";
}

TEST_F(BooksTest, WhatIsDeletedIsStillBilledAndWhatWasNotBoundIsNot) {
  books_->on_pod(pod("a", "1"), kNode, owner("train"), at("01:01"));
  books_->on_pod_gone(pod("a", "1"), kNode, owner("train"), at("02:00"));
  Json waiting = pod("b", "1");
  waiting.at("spec").as_object().erase("nodeName");
  books_->on_pod(waiting, kNode, owner("waits"), at("02:00"));
  EXPECT_EQ(cost("train"), 4'000'000 + 100'000);
  EXPECT_EQ(cost("waits"), -1);
}

TEST_F(BooksTest, WhatIsReadAgainAfterAKillIsNeitherLostNorCountedTwice) {
  books_->on_pod(pod("a", "1"), kNode, owner("train"), at("01:01"));
  keep("7");
  books_->on_pod(pod("a", "1", "03:00"), kNode, owner("train"), at("03:01"));
  open();  // before it was kept
  EXPECT_EQ(*books_->cursor(), "7");
  EXPECT_EQ(cost("train", "05:00"), 4 * 4'100'000) << "it goes on";
  books_->on_pod(pod("a", "1", "03:00"), kNode, owner("train"), at("06:00"));
  keep("8");
  open();
  // And once more all of it, as after a list.
  books_->on_pod(pod("a", "1", "03:00"), kNode, owner("train"), at("07:00"));
  books_->on_pod_gone(pod("a", "1", "03:00"), kNode, owner("train"), at("07:00"));
  EXPECT_EQ(cost("train"), 2 * 4'100'000);
}

TEST_F(BooksTest, WhatCameAndWentUnseenIsBilled) {
  books_->on_pod_gone(pod("a", "2", "01:30"), kNode, owner("train"), at("05:00"));
  EXPECT_EQ(cost("train"), 4'000'000 + 50'000);
  books_->on_pod(pod("b", "1"), kNode, owner("lost"), at("05:00"));
  books_->on_all_pods([](const std::string&) { return false; }, at("06:00"));
  EXPECT_EQ(cost("lost"), 5 * 4'100'000);
}

TEST_F(BooksTest, AResizedPodPaysForEachOfItsSizes) {
  books_->on_pod(pod("a", "1"), kNode, owner("train"), at("01:01"));
  books_->on_pod(pod("a", "2"), kNode, owner("train"), at("02:00"));
  open();
  books_->on_pod(pod("a", "1"), kNode, owner("train"), at("01:01"));
  books_->on_pod(pod("a", "2"), kNode, owner("train"), at("02:00"));
  books_->on_pod(pod("a", "2", "03:00"), kNode, owner("train"), at("03:00"));
  EXPECT_EQ(cost("train"), 4'000'000 + 8'000'000 + 2 * 100'000);
}

TEST_F(BooksTest, APriceThatChangesLeavesThePastAndAnotherCurrencyIsRefused) {
  books_->on_pod(pod("a", "1"), kNode, owner("train"), at("01:01"));
  ASSERT_TRUE(books_->set_prices(prices(8'000'000), "USD", at("02:00")));
  keep("2");
  open();
  EXPECT_EQ(cost("train", "03:00"), 4'000'000 + 8'000'000 + 2 * 100'000);
  const auto refused = books_->set_prices(prices(), "EUR", at("03:00"));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().to_string().find("the ledger is in USD"), std::string::npos);
}

TEST_F(BooksTest, TokensCountOnceHoweverOftenAGatewayTellsOfThem) {
  books_->on_pod(pod("a", "1"), kNode, owner("serve"), at("01:01"));
  books_->on_tokens("g", "ann", "llama", {100, 10}, at("02:00"));
  books_->on_tokens("g", "ann", "llama", {100, 10}, at("02:00"));
  keep("2");
  open();
  books_->on_tokens("g", "ann", "llama", {100, 10}, at("02:00"));
  books_->on_tokens("g", "ann", "llama", {150, 50}, at("02:30"));
  books_->on_tokens("h", "bob", "llama", {1000, 800}, at("02:40"));
  Json told = report("01:00", "03:00", core::CostDimension::kModel);
  const Json& row = objects::find_array(told, {"rows"})[0];
  EXPECT_EQ(objects::find_int(row, {"inputTokens"}), 1150);
  EXPECT_EQ(objects::find_int(row, {"outputTokens"}), 850);
  EXPECT_EQ(objects::find_int(row, {"costPerMillionTokensMicro"}),
            int64_t{8'200'000} * 1'000'000 / 2000);
  told = report("02:15", "02:35", core::CostDimension::kTenant);
  for (const Json& tenant : objects::find_array(told, {"rows"}))
    if (objects::find_string(tenant, {"key"}) == "ann") {
      EXPECT_EQ(objects::find_int(tenant, {"outputTokens"}), 40);
    }
  told = report("01:00", "03:00", core::CostDimension::kConsumer);
  const JsonArray& consumers = objects::find_array(told, {"rows"});
  ASSERT_EQ(consumers.size(), 2U) << "not the namespace of the pods";
  EXPECT_EQ(objects::find_string(consumers[0], {"key"}), "bob");
  EXPECT_EQ(objects::find_int(consumers[0], {"costMicro"}), 8'200'000 / 10 * 9);
  EXPECT_EQ(objects::find_int(consumers[1], {"costMicro"}), 8'200'000 / 10);
}

TEST_F(BooksTest, ABudgetCountsWhatIsBelowItsQueueInItsPeriod) {
  const auto queue = [&](const std::string& name, const std::string& parent,
                         const std::string& rest) {
    return books_->budgets().set_queue(boost::json::parse(fmt::format(
        R"({{"metadata": {{"name": "{}"}}, "spec": {{"parent": "{}"{}}}}})", name, parent, rest)));
  };
  queue("research", "root", "");
  queue("root", "",
        R"(, "budget": {"amount": 10, "currency": "USD", "period": "Day", "onExceeded": "Block"})");
  queue("other", "", R"(, "budget": {"amount": 10, "currency": "USD"})");
  books_->on_pod(pod("a", "1"), kNode, owner("train"), at("01:01"));
  auto judged = books_->judge(at("02:00"));
  ASSERT_EQ(judged.size(), 2u);
  EXPECT_EQ(judged[0].spent.micro, 0);
  EXPECT_EQ(judged[1].spent.micro, 4'100'000);
  EXPECT_TRUE(judged[1].decision.alert) << "it does not last";
  EXPECT_FALSE(judged[1].decision.block);
  EXPECT_EQ(judged[1].decision.spent_by->ns / 1'000'000'000,
            (at("02:00") + Duration::seconds(3600 * 59 / 41)).ns / 1'000'000'000);
  // The sum of what ended is kept up, and survives a restart.
  books_->on_pod(pod("a", "1", "03:00"), kNode, owner("train"), at("03:00"));
  EXPECT_EQ(books_->judge(at("03:30"))[1].spent.micro, 8'200'000);
  books_->on_pod(pod("b", "1"), kNode, owner("more"), at("03:30"));
  EXPECT_TRUE(books_->judge(at("04:00"))[1].decision.block);
}

}  // namespace
}  // namespace berth::bridge
