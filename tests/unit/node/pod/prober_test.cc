#include "node/pod/prober.h"

#include <gtest/gtest.h>

#include "objects/json_text.h"

namespace berth::node {
namespace {

TEST(Drain, TheMetricsOfAnEngineSayWhetherItHasRequests) {
  const std::vector<std::string> names = {"vllm:num_requests_running", "vllm:num_requests_waiting"};
  EXPECT_FALSE(has_requests(names, ""));
  EXPECT_FALSE(has_requests(names,
                            "# TYPE vllm:num_requests_running gauge\r\n"
                            "vllm:num_requests_running{model_name=\"a\"} 0.0\r\n"
                            "vllm:num_requests_running_total 7\r\n"));
  EXPECT_TRUE(has_requests(names,
                           "vllm:num_requests_running{model_name=\"a b\"} 0.0\n"
                           "vllm:num_requests_waiting{model_name=\"a\",x=\"}\"} 2.0\n"));
  EXPECT_TRUE(has_requests({"llamacpp:requests_processing"}, "llamacpp:requests_processing 1"));
}

PodSpec pod(const std::string& annotation, const std::string& lifecycle) {
  const auto object = objects::parse_json(
      R"({"metadata":{"name":"p","namespace":"d","uid":"0a1b2c3d-0000-4000-8000-000000000000",
      "annotations":{"berth.dev/busy-metrics":")" +
      annotation + R"("}},"spec":{"containers":[{"name":"c","image":"host","command":["true"])" +
      lifecycle + "}]}}");
  return *read_pod(object->value);
}

TEST(Drain, GoesBeforeTheStopUnlessTheUserHasAHookOfHisOwn) {
  constexpr const char* kSleep = R"(,"lifecycle":{"preStop":{"sleep":{"seconds":2}}})";
  const auto drain = pod("8080/metrics a,b", kSleep).containers.front().pre_stop;
  ASSERT_TRUE(drain);
  EXPECT_EQ(drain->kind, Handler::Kind::kDrain);
  EXPECT_EQ(drain->port, 8080);
  EXPECT_EQ(drain->path, "/metrics");
  EXPECT_EQ(drain->busy_metrics, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(drain->sleep, Duration::seconds(2));

  constexpr const char* kExec = R"(,"lifecycle":{"preStop":{"exec":{"command":["x"]}}})";
  EXPECT_EQ(pod("8080/metrics a", kExec).containers.front().pre_stop->kind, Handler::Kind::kExec);
  for (const char* nonsense : {"", "8080", "x/metrics a", "/metrics a", "8080 /metrics a"})
    EXPECT_FALSE(pod(nonsense, "").containers.front().pre_stop) << nonsense;
}

}  // namespace
}  // namespace berth::node
