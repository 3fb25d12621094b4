#include "bridge/ended_pod.h"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

#include "objects/json_path.h"

namespace berth::bridge {
namespace {

Json pod(std::string_view status) {
  return JsonObject{{"metadata", JsonObject{{"namespace", "default"}, {"name", "p"}}},
                    {"spec", JsonObject{{"nodeName", "n"}}},
                    {"status", boost::json::parse(status)}};
}

std::string message(const Json& explained, size_t i) {
  const JsonArray& reasons = objects::find_array(explained, {"reasons"});
  return i < reasons.size() ? std::string(objects::find_string(reasons[i], {"message"})) : "";
}

TEST(EndedPod, SaysHowEachContainerEnded) {
  const auto explained = explain_ended(pod(R"({"phase":"Failed","containerStatuses":[
      {"name":"a","state":{"terminated":{"exitCode":3,"reason":"Error",
       "finishedAt":"2026-01-02T03:04:05Z"}}},
      {"name":"b","state":{"terminated":{"exitCode":137,"reason":"OOMKilled"}}}]})"));
  ASSERT_TRUE(explained);
  EXPECT_EQ(objects::find_string(*explained, {"phase"}), "Failed");
  EXPECT_EQ(objects::find_string(*explained, {"task"}), "default/p");
  EXPECT_EQ(message(*explained, 0),
            "container a ended with exit code 3 (Error) at 2026-01-02T03:04:05Z");
  EXPECT_EQ(message(*explained, 1), "container b ended with exit code 137 (OOMKilled)");
}

TEST(EndedPod, SaysWhyTheNodeEndedIt) {
  const auto explained =
      explain_ended(pod(R"({"phase":"Failed","reason":"Evicted","message":"too much on disk"})"));
  ASSERT_TRUE(explained);
  EXPECT_EQ(message(*explained, 0), "Evicted: too much on disk");
}

TEST(PlacedPod, SaysWhatItsContainersWaitFor) {
  Json answer = JsonObject{};
  explain_waiting_containers(pod(R"({"phase":"Running","initContainerStatuses":[
      {"name":"i","state":{"terminated":{"exitCode":0}}}],"containerStatuses":[
      {"name":"a","restartCount":2,"state":{"waiting":{"reason":"CrashLoopBackOff",
       "message":"back-off 20s restarting failed container"}},
       "lastState":{"terminated":{"exitCode":137,"reason":"OOMKilled",
                                  "finishedAt":"2026-11-23T10:00:00Z"}}},
      {"name":"b","restartCount":0,"state":{"waiting":{"reason":"CreateContainerConfigError",
       "message":"configmap \"x\" not found"}}},
      {"name":"c","restartCount":0,"state":{"waiting":{"reason":"ContainerCreating"}}},
      {"name":"d","restartCount":1,"state":{"running":{}}}]})"),
                             answer);
  EXPECT_EQ(message(answer, 0),
            "container a waits (CrashLoopBackOff): back-off 20s restarting failed container; "
            "restarted 2 times; it last ended with exit code 137 (OOMKilled); it starts again at "
            "2026-11-23T10:00:20Z");
  EXPECT_EQ(message(answer, 1),
            "container b waits (CreateContainerConfigError): configmap \"x\" not found");
  EXPECT_EQ(message(answer, 2), "");
}

TEST(PlacedPod, KeepsWhatTheSchedulerSaysOfOneWithoutAPlace) {
  Json answer = JsonObject{{"reasons", JsonArray{JsonObject{{"message", "full"}}}}};
  Json waits = pod(R"({"containerStatuses":[{"name":"a","state":{"waiting":{"reason":"x",
                       "message":"y"}}}]})");
  waits.at("spec") = JsonObject{};
  explain_waiting_containers(waits, answer);
  EXPECT_EQ(message(answer, 0), "full");
}

TEST(EndedPod, IsNotOneThatRunsOrWaits) {
  EXPECT_FALSE(explain_ended(pod(R"({"phase":"Running"})")));
  EXPECT_FALSE(explain_ended(pod("{}")));
  EXPECT_FALSE(explain_ended(Json(nullptr)));
}

}  // namespace
}  // namespace berth::bridge
