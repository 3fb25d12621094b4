#include "traces/serving/request_log.h"

#include <gtest/gtest.h>

namespace berth::traces {
namespace {

TEST(RequestLog, ReadsJsonLinesRelativeToTheFirst) {
  const auto log = parse_request_log(
      R"({"request_id":"a","input_toks":5,"output_toks":2,"queued_ts":10,"first_token_ts":11,"last_token_ts":12.5})"
      "\n"
      R"({"request_id":"b","input_toks":6,"output_toks":3,"queued_ts":10.5})"
      "\n",
      "run.jsonl");
  ASSERT_TRUE(log) << log.error().to_string();
  ASSERT_EQ(log->size(), 2);
  EXPECT_EQ((*log)[0].id, "a");
  EXPECT_EQ((*log)[0].first_token_s, 1);
  EXPECT_EQ((*log)[0].last_token_s, 2.5);
  EXPECT_EQ((*log)[1].arrival_s, 0.5);
  EXPECT_FALSE((*log)[1].first_token_s);
}

TEST(RequestLog, ReadsAzure) {
  const auto log = parse_request_log(
      "TIMESTAMP,ContextTokens,GeneratedTokens\n"
      "2023-11-16 18:15:46.5,374,44\n2023-11-16 18:15:50.0,396,109\n",
      "conv.csv");
  ASSERT_TRUE(log) << log.error().to_string();
  EXPECT_EQ((*log)[1].prompt_tokens, 396);
  EXPECT_NEAR((*log)[1].arrival_s, 3.5, 1e-6);
}

struct Bad {
  const char* text;
  const char* where;
};

class BadRequestLog : public ::testing::TestWithParam<Bad> {};

TEST_P(BadRequestLog, SaysWhere) {
  const auto log = parse_request_log(GetParam().text, "f");
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().where, GetParam().where);
  EXPECT_FALSE(log.error().fix.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Each, BadRequestLog,
    ::testing::Values(
        Bad{"", "f:1:1"}, Bad{"{}", "f:1"}, Bad{"{\"input_toks\":0,\"output_toks\":1}", "f:1"},
        Bad{"{\"input_toks\":1,\"output_toks\":1}", "f:1"},
        Bad{"{\"input_toks\":1,\"output_toks\":1,\"queued_ts\":2}\n"
            "{\"input_toks\":1,\"output_toks\":1,\"queued_ts\":1}",
            "f:2"},
        Bad{"{\"input_toks\":1,\"output_toks\":1,\"queued_ts\":2,\"first_token_ts\":1}", "f:1"},
        Bad{"{\"input_toks\":1,\n", "f:1"},
        Bad{"TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,1\n", "f:2:1"}));

}  // namespace
}  // namespace berth::traces
