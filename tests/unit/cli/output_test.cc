#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/output/amounts.h"
#include "cli/output/explanation.h"
#include "cli/output/outline.h"
#include "cli/output/print.h"
#include "cli/tenants/queue_tree.h"
#include "objects/json_text.h"

namespace berth::cli {
namespace {

Json json(std::string_view text) {
  auto parsed = objects::parse_json(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? std::move(parsed->value) : Json(nullptr);
}

const Time kNow = *parse_time("2026-11-23T10:05:00Z");

TEST(TextTable, LinesUpCells) {
  TextTable table({"NAME", "STATUS"});
  table.add({"a-long-name", "Running"});
  table.add({"ü", "Ok"});
  EXPECT_EQ(table.to_string(),
            "NAME          STATUS\n"
            "a-long-name   Running\n"
            "ü             Ok\n");
}

TEST(TextTable, LinesUpWhatComesLater) {
  TextTable table({"NAME", "STATUS", "AGE"});
  table.add({"web", "ContainerCreating", "1s"});
  EXPECT_EQ(table.take(),
            "NAME   STATUS              AGE\n"
            "web    ContainerCreating   1s\n");
  table.add({"ü", "Running", "2s"});
  EXPECT_EQ(table.take(), "ü      Running             2s\n");
  table.add({"a-longer-name", "Running", "3s"});
  EXPECT_EQ(table.take(), "a-longer-name   Running             3s\n");
  table.add({"web", "Running", "4s"});
  EXPECT_EQ(table.take(), "web             Running             4s\n");
}

TEST(ReadTable, TakesTheColumnsThatWereAskedFor) {
  const Json table = json(R"({
    "columnDefinitions":[{"name":"Name"},{"name":"Restarts"},{"name":"Node","priority":1}],
    "rows":[{"cells":["web-0",3,"n1"],"object":{"metadata":{"namespace":"team"}}},
            {"cells":["web-1",null,"n2"],"object":{"metadata":{"namespace":"team"}}}]})");
  const PrintedTable narrow = read_table(table, false, false, "pod/");
  EXPECT_THAT(narrow.header, testing::ElementsAre("NAME", "RESTARTS"));
  EXPECT_THAT(narrow.rows[0], testing::ElementsAre("pod/web-0", "3"));
  EXPECT_THAT(narrow.rows[1], testing::ElementsAre("pod/web-1", "<none>"));
  const PrintedTable wide = read_table(table, true, true);
  EXPECT_THAT(wide.header, testing::ElementsAre("NAMESPACE", "NAME", "RESTARTS", "NODE"));
  EXPECT_THAT(wide.rows[0], testing::ElementsAre("team", "web-0", "3", "n1"));
}

TEST(Outline, ShowsAPod) {
  const Json pod = json(R"({
    "apiVersion":"v1","kind":"Pod",
    "metadata":{"name":"web-0","namespace":"team","uid":"u","resourceVersion":"7",
      "creationTimestamp":"2026-11-23T10:00:00Z","labels":{"app":"web"},
      "annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"},
      "ownerReferences":[{"kind":"ReplicaSet","name":"web"}]},
    "spec":{"nodeName":"n1","containers":[{"name":"main","image":"host","command":["sh","-c","true"],
      "resources":{"limits":{"cpu":"2"}}}]},
    "status":{"phase":"Running","startTime":"2026-11-23T10:04:00Z","conditions":[
      {"type":"Ready","status":"True","lastTransitionTime":"2026-11-23T10:04:30Z","reason":"Fine"}]}})");
  EXPECT_EQ(outline(pod, kNow),
            "Name:             web-0\n"
            "Namespace:        team\n"
            "Kind:             Pod (v1)\n"
            "Created:          2026-11-23T10:00:00Z (5m ago)\n"
            "Owned by:         ReplicaSet/web\n"
            "Labels:\n"
            "  app:            web\n"
            "Annotations:      <none>\n"
            "Spec:\n"
            "  Node Name:      n1\n"
            "  Containers:\n"
            "    main:\n"
            "      Image:      host\n"
            "      Command:    sh -c true\n"
            "      Resources:\n"
            "        Limits:\n"
            "          cpu:    2\n"
            "Status:\n"
            "  Phase:          Running\n"
            "  Start Time:     2026-11-23T10:04:00Z (60s ago)\n"
            "  Conditions:\n"
            "    TYPE    STATUS   SINCE   REASON   MESSAGE\n"
            "    Ready   True     30s     Fine     \n");
}

TEST(Outline, KeepsSecretsSecret) {
  const std::string text = outline(
      json(R"({"kind":"Secret","metadata":{"name":"s"},"data":{"password":"aHVudGVyMg=="}})"),
      kNow);
  EXPECT_EQ(text.find("aHVudGVyMg"), std::string::npos);
  EXPECT_NE(text.find("about 9 bytes"), std::string::npos) << text;
}

TEST(QueueTree, IndentsChildren) {
  const std::vector<Json> queues = {
      json(R"({"metadata":{"name":"lab"},"spec":{"guaranteed":{"nvidia.com/gpu":"4"}},
               "status":{"allocated":{"nvidia.com/gpu":"3","memory":"24Gi"},"running":3,"pending":1,
                         "share":"0.7500","fairShare":"0.5000"}})"),
      json(
          R"({"metadata":{"name":"alice"},"spec":{"parent":"lab","weight":2,"limit":{"cpu":"1500m"}}})"),
      json(R"({"metadata":{"name":"lost"},"spec":{"parent":"gone"}})")};
  EXPECT_EQ(queue_tree(queues),
            "QUEUE     GUARANTEED         LIMIT     WEIGHT   USED                           SHARE  "
            " FAIR SHARE   RUNNING   PENDING\n"
            "lab       nvidia.com/gpu=4   -         1        memory=24Gi,nvidia.com/gpu=3   75%    "
            " 50%          3         1\n"
            "  alice   -                  cpu=1.5   2        -                              -      "
            " -            0         0\n"
            "lost      -                  -         1        -                              -      "
            " -            0         0\n");
}

TEST(Explanation, SaysWhatGrowthIsWorth) {
  using testing::HasSubstr;
  const Json pod = json(R"({"metadata":{"name":"chat-1"},"status":{"phase":"Running"}})");
  EXPECT_THAT(explain_pod(pod, json(R"({"growthValue":0.25})"), false).body,
              HasSubstr("beyond its service's minimum, worth 0.25 objective misses avoided"));
  const Json service =
      json(R"({"metadata":{"name":"chat"},"status":{"growthValues":"1: 0.5, 0.03"}})");
  EXPECT_THAT(explain_model_service(service).body,
              HasSubstr("beyond the minimum of 1 each avoids 0.5, 0.03 objective misses a second"));
}

TEST(Explanation, SaysWhyAVariantHasItsReplicas) {
  const Json service = json(R"({"metadata":{"name":"chat"},"status":{
      "variants":[{"name":"small","replicas":2,"ready":1},{"name":"large","replicas":0}],
      "variantReasons":{"small":"2 wanted, 0.8/h"}}})");
  EXPECT_EQ(explain_model_service(service).body,
            "  variant     small: 1 of 2 ready; 2 wanted, 0.8/h\n"
            "  variant     large: 0 of 0 ready\n");
}

TEST(Explanation, SaysWhyAndWhatWouldHelp) {
  const Json pod = json(R"({"metadata":{"name":"train-0"},"status":{"phase":"Pending"}})");
  const Json answer = json(R"({"reasons":[{"code":"x","message":"2 GPUs are free, it asks for 4"}],
               "changes":[{"kind":"free","text":"when batch-1 ends"}],"queue":"research","position":2,
               "gang":"team/train","gangMinimum":2,"membersThatFit":1,
               "holders":[{"gang":"team/batch-1","queue":"low","devices":2,"priority":0}]})");
  const Explanation text = explain_pod(pod, answer, false);
  EXPECT_EQ(text.heading, "pod train-0: waiting");
  EXPECT_EQ(text.body,
            "  because     2 GPUs are free, it asks for 4\n"
            "  would help  when batch-1 ends\n"
            "  held by     team/batch-1 (2 of queue low, priority 0)\n"
            "  queue       research, number 2 in line\n"
            "  gang        team/train, starts with 2 members together; 1 would fit now\n");
  EXPECT_EQ(explain_line(answer), "2 GPUs are free, it asks for 4");
}

TEST(Explanation, WhatWaitsToRestartIsNotCalledRunning) {
  const Json pod = json(R"({"metadata":{"name":"web-0"},"spec":{"nodeName":"n1"},
    "status":{"phase":"Running","containerStatuses":[
      {"name":"main","state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}})");
  EXPECT_EQ(explain_pod(pod, json("{}"), false).heading, "pod web-0: waits to restart on n1");
}

TEST(Explanation, SaysWhyADeploymentLacksPods) {
  const Json deployment = json(R"({"metadata":{"name":"web","namespace":"team"},
    "spec":{"replicas":3},"status":{"readyReplicas":1,"conditions":[
      {"type":"ReplicaFailure","status":"True","reason":"FailedCreate",
       "message":"pods \"web-1\" is forbidden: exceeded quota: q"},
      {"type":"Progressing","status":"True","reason":"ReplicaSetUpdated","message":"goes on"},
      {"type":"Available","status":"False","message":"too few"}]}})");
  const Explanation text = explain_workload("deployment", deployment);
  EXPECT_EQ(text.heading, "deployment web: 1 of 3 replicas ready");
  EXPECT_EQ(text.body,
            "  because     pods \"web-1\" is forbidden: exceeded quota: q\n"
            "  would help  raise that quota, or end other pods of namespace team: the missing ones "
            "are then made by themselves\n");
}

TEST(Explanation, SaysHowToResumeAJob) {
  const Json job = json(R"({"metadata":{"name":"train","namespace":"team"},
    "spec":{"completions":3,"suspend":true},"status":{"succeeded":1,"conditions":[
      {"type":"Suspended","status":"True","message":"Job suspended"}]}})");
  const Explanation text = explain_workload("job", job);
  EXPECT_EQ(text.heading, "job train: 1 of 3 succeeded, 0 running, 0 failed");
  EXPECT_EQ(text.body,
            "  because     it is suspended: it has no pods until it is resumed\n"
            "  would help  set spec.suspend to false in its manifest and `berth apply` it, or "
            "`kubectl -n team patch job train -p '{\"spec\":{\"suspend\":false}}'`\n");
}

TEST(Explanation, SaysWhenAJobTriesAgain) {
  const Json job = json(R"({"metadata":{"name":"train"},
    "status":{"failed":2,"conditions":[{"type":"berth.dev/BackingOff","status":"True",
      "message":"2 pods failed; the next one starts at 2026-11-23T10:05:20Z"}]}})");
  EXPECT_EQ(explain_workload("job", job).body,
            "  because     2 pods failed; the next one starts at 2026-11-23T10:05:20Z\n");
  const Json failed = json(R"({"metadata":{"name":"train"},"status":{"failed":7,"conditions":[
      {"type":"Failed","status":"True","message":"Job has reached the specified backoff limit"}]}})");
  EXPECT_EQ(explain_workload("job", failed).body,
            "  because     Job has reached the specified backoff limit\n");
}

TEST(Explanation, HoldersOfCpusAloneHaveNoDevices) {
  const Json answer =
      json(R"({"holders":[{"gang":"default/lq","queue":"lim","devices":0.0,"priority":0}]})");
  EXPECT_EQ(explain_pod(json("{}"), answer, false).body,
            "  held by     default/lq (queue lim, priority 0)\n");
}

TEST(Explanation, WhatCanNeverStartIsNotCalledWaiting) {
  const Json pod = json(R"({"metadata":{"name":"huge"},"status":{"phase":"Pending"}})");
  const Json answer =
      json(R"({"reasons":[{"code":"Never","message":"the most that a node has is 2"}],
               "changes":[{"kind":"LowerRequest","text":"ask for 2"}],"queue":"q"})");
  const Explanation text = explain_pod(pod, answer, false);
  EXPECT_EQ(text.heading, "pod huge: can never start as it is");
  EXPECT_EQ(text.body,
            "  because     the most that a node has is 2\n"
            "  would help  ask for 2\n"
            "  queue       q\n");
}

TEST(Amounts, ReadWhatPeopleType) {
  const auto amounts = parse_amounts("nvidia.com/gpu=2, cpu=8,memory=64Gi");
  ASSERT_TRUE(amounts);
  EXPECT_EQ(format_amounts(*amounts), "cpu=8,memory=64Gi,nvidia.com/gpu=2");
  EXPECT_EQ(parse_amounts("gpus").error().what, "`gpus` is not RESOURCE=AMOUNT");
  EXPECT_FALSE(parse_amounts("cpu=many"));
}

TEST(Format, IsOneOfAFew) {
  EXPECT_EQ(*parse_format(""), Format::kTable);
  EXPECT_EQ(*parse_format("yaml"), Format::kYaml);
  EXPECT_EQ(parse_format("xml").error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace berth::cli
