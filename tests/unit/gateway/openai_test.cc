#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "gateway/openai/request_scan.h"
#include "gateway/openai/sse_filter.h"
#include "gateway/openai/usage_scan.h"

namespace berth::gateway {
namespace {

TEST(RequestScan, FindsWhatTheGatewayNeeds) {
  const auto scan = scan_request(
      R"({"model":"har\u0062our","messages":[{"role":"user","content":"12345678"}],)"
      R"("stream":true,"n":2,"max_tokens":50,"stream_options":{"include_usage":true}})");
  ASSERT_TRUE(scan) << scan.error().to_string();
  EXPECT_EQ(scan->model, "harbour");
  EXPECT_TRUE(scan->stream);
  EXPECT_TRUE(scan->has_stream_options);
  EXPECT_TRUE(scan->include_usage);
  EXPECT_EQ(scan->max_tokens, 100);
  EXPECT_EQ(scan->input_tokens, 3) << "the role and 8 bytes, 4 a token";
}

TEST(RequestScan, FieldsOfOtherPlacesAreNobodysBusiness) {
  const auto scan =
      scan_request(R"({"metadata":{"model":"x","stream":true,"max_tokens":9},"model":"m",)"
                   R"("prompt":[1,2,3],"tools":[{"stream":1}]})");
  ASSERT_TRUE(scan) << scan.error().to_string();
  EXPECT_EQ(scan->model, "m");
  EXPECT_FALSE(scan->stream);
  EXPECT_EQ(scan->max_tokens, -1);
  EXPECT_EQ(scan->input_tokens, 3) << "token ids";
}

TEST(RequestScan, RefusesWhatTwoReadersCouldTakeDifferently) {
  for (const char* body :
       {R"({"model":"a","model":"b"})", R"({"model":"a","stream":true,"stream":false})",
        R"({"model":"a"} {"model":"b"})", R"({"model":"a","max_tokens":1,"max_tokens":2})",
        R"({"model":"a","\u006dodel":"b"})",
        R"({"model":"a","stream_options":{"include_usage":true,"include_usage":false}})"})
    EXPECT_FALSE(scan_request(body)) << body;
}

TEST(RequestScan, RefusesWhatIsNoRequest) {
  const std::string deep = "{\"model\":\"a\",\"x\":" + std::string(70, '[');
  for (const std::string& body :
       {std::string(), std::string("[]"), std::string("3"), std::string("{}"), std::string("{"),
        std::string(R"({"model":3})"), std::string(R"({"model":""})"),
        std::string(R"({"model":{}})"), std::string(R"({"model":"a","stream":"yes"})"),
        std::string("{\"model\":\"a\"}\0", 14), std::string(R"({"model":"a","stream_options":[]})"),
        deep, std::string(R"({"model":"a","x":2e7777})"),
        R"({"model":")" + std::string(300, 'a') + "\"}"})
    EXPECT_FALSE(scan_request(body)) << body;
}

TEST(RequestScan, EqualBeginningsHaveEqualPrefixes) {
  const std::string system(600, 's');
  const auto body = [&](const std::string& question) {
    return R"({"model":"m","messages":[{"role":"system","content":")" + system +
           R"("},{"role":"user","content":")" + question + "\"}]}";
  };
  const uint64_t prefix = scan_request(body("one"))->prefix;
  EXPECT_NE(prefix, 0u);
  EXPECT_EQ(scan_request(body("two"))->prefix, prefix);
  EXPECT_EQ(scan_request(R"({"model":"m","prompt":"short"})")->prefix, 0u);
}

TEST(WithUsage, KeepsTheOtherOptions) {
  const auto body = with_usage(R"({"model":"m","stream_options":{"a":1,"include_usage":false}})");
  ASSERT_TRUE(body);
  const auto scan = scan_request(*body);
  EXPECT_TRUE(scan->include_usage);
  EXPECT_NE(body->find(R"("a":1)"), std::string::npos);
}

TEST(UsageScan, OnlyTheAnswersOwnUsageCounts) {
  const auto scan = scan_usage(
      R"({"choices":[{"text":"\"usage\":{\"completion_tokens\":9}","usage":{"prompt_tokens":7}}],)"
      R"("usage":{"prompt_tokens":3,"completion_tokens":5,"details":{"prompt_tokens":8}}})");
  ASSERT_TRUE(scan);
  EXPECT_EQ(scan->usage, (Usage{3, 5}));
  EXPECT_FALSE(scan->empty_choices);
  EXPECT_FALSE(scan_usage("not json"));
  EXPECT_FALSE(scan_usage(R"({"usage":null})")->usage);
}

const std::string kToken =
    "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n";
const std::string kUsage =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n\n";
const std::string kDone = "data: [DONE]\n\n";

std::string filtered(SseFilter& filter, std::string_view stream, size_t step) {
  std::string out;
  const auto pass = [&out](std::string_view piece) { out += piece; };
  for (size_t at = 0; at < stream.size(); at += step) filter.feed(stream.substr(at, step), pass);
  filter.finish(pass);
  return out;
}

TEST(SseFilter, CountsAndTakesOutTheUsageThatNobodyAskedFor) {
  const std::string stream = kToken + kToken + kUsage + kDone;
  for (size_t step = 1; step <= stream.size(); ++step) {
    SseFilter filter(true);
    EXPECT_EQ(filtered(filter, stream, step), kToken + kToken + kDone) << step;
    EXPECT_EQ(filter.usage(), (Usage{4, 2}));
    EXPECT_EQ(filter.events(), 2);
    EXPECT_TRUE(filter.done());
  }
  SseFilter filter(false);
  EXPECT_EQ(filtered(filter, stream, 7), stream);
}

TEST(SseFilter, UnderstandsCarriageReturnsCommentsAndAMissingEnd) {
  const std::string stream = ": hello\r\n\r\ndata: {\"choices\":[1]}\r\n\r\ndata: [DONE]";
  for (size_t step = 1; step <= stream.size(); ++step) {
    SseFilter filter(true);
    EXPECT_EQ(filtered(filter, stream, step), stream);
    EXPECT_EQ(filter.events(), 1);
    EXPECT_TRUE(filter.done());
  }
}

TEST(SseFilter, AnEventOfAnyLengthPassesInBoundedMemory) {
  const std::string large = "data: \"" + std::string(600'000, 'x') + "\"\n\n";
  SseFilter filter(true);
  EXPECT_EQ(filtered(filter, large + kUsage + kDone, 10'000), large + kDone);
  EXPECT_TRUE(filter.done());
}

const std::vector<std::string> kParts = {kToken, kUsage,    kDone,     "\n",
                                         "\r\n", "data: x", ": c\n\n", "\n\n"};

RC_GTEST_PROP(SseFilter, HowAStreamIsCutChangesNothing, ()) {
  const auto parts = *rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(kParts));
  std::string stream;
  for (const std::string& part : parts) stream += part;
  SseFilter whole(true), cut(true);
  const std::string expected = filtered(whole, stream, stream.size() + 1);
  const size_t step = *rc::gen::inRange<size_t>(1, 40);
  RC_ASSERT(filtered(cut, stream, step) == expected);
  RC_ASSERT(cut.events() == whole.events());
  RC_ASSERT(cut.usage() == whole.usage());
}

}  // namespace
}  // namespace berth::gateway
