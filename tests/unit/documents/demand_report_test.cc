#include "documents/demand_report.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "objects/json_text.h"

namespace berth::documents {
namespace {

TEST(DemandReport, ComesBackAsItWasSent) {
  ModelDemand demand{.model = "chat",
                     .sample = {.arrivals = 3,
                                .prompt_tokens = 120,
                                .prompt_tokens2 = 5000,
                                .ended = 2,
                                .output_tokens = 64,
                                .missed = 1,
                                .concurrency = 2.5,
                                .waiting = 0.5},
                     .held = true,
                     .served = {{.request = {40, 32, 0.125, 0.5, 1.5}, .pod = "default/chat-1"},
                                {.request = {40, 32, -1, 0.5, 2}, .pod = {}}}};
  const std::vector<DemandReport> sent{{"gate", 7, 1'700'000'000, {demand, {.model = "idle"}}}};
  const auto got = reports_from_document(reports_to_document(sent));
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_EQ(objects::canonical_json(reports_to_document(*got)),
            objects::canonical_json(reports_to_document(sent)));
  const ModelDemand& read = got->front().models.front();
  EXPECT_EQ(read.sample.prompt_tokens2, 5000);
  EXPECT_TRUE(read.held);
  EXPECT_EQ(read.served.at(0).pod, "default/chat-1");
  EXPECT_EQ(read.served.at(1).request.first_token_s, -1);
  EXPECT_EQ(read.served.at(1).pod, "") << "a server that is no pod";
  EXPECT_EQ(got->front().models.back().sample.arrivals, 0);
}

TEST(DemandReport, NonsenseIsNamed) {
  const auto why = [](std::string_view text) {
    const auto got = reports_from_document(objects::parse_json(text)->value);
    return got ? "accepted" : got.error().what;
  };
  EXPECT_EQ(why("{}"), "there is no report in it");
  EXPECT_EQ(why(R"({"reports":[{"sequence":1}]})"), "no gateway is named");
  const auto with = [](std::string model) {
    return R"({"reports":[{"gateway":"g","models":[)" + model + "]}]}";
  };
  EXPECT_EQ(why(with("{}")), "a model without a name");
  EXPECT_EQ(why(with(R"({"model":"m","arrivals":-1})")), "m: arrivals is no number of at least 0");
  EXPECT_EQ(why(with(R"({"model":"m","arrivals":"1"})")), "m: arrivals is no number of at least 0");
  EXPECT_EQ(why(with(R"({"model":"m","served":[[1,2,3]]})")),
            "m: an answered request is not five numbers and its server");
  for (const char* odd : {"[1e12,2,3,4,5]", "[1,2,3,4,5,6]", "[1,2,3,4,5,\"pod\",7]"})
    EXPECT_EQ(why(with(fmt::format(R"({{"model":"m","served":[{}]}})", odd))),
              "m: an answered request is not five numbers and its server");
}

}  // namespace
}  // namespace berth::documents
