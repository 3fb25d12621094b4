#include "objects/table.h"

#include <gtest/gtest.h>

#include "objects/json_text.h"
#include "objects/yaml.h"

namespace berth::objects {
namespace {

struct RowCase {
  const char* name;
  const char* object;
  const char* cells;  // JSON
};

class TableRowTest : public testing::TestWithParam<RowCase> {};

TEST_P(TableRowTest, ShowsWhatKubectlShows) {
  const auto registry = Registry::built_in();
  const Json object = parse_yaml(GetParam().object)->front().value;
  const Kind* kind = registry->find_kind(api_version_of(object), kind_of(object));
  ASSERT_NE(kind, nullptr);
  const Time now = *parse_time("2026-01-01T01:00:00Z");
  const Json row = make_table_row(*kind, object, now, IncludeObject::kNone);
  EXPECT_EQ(canonical_json(row.at("cells")), canonical_json(parse_json(GetParam().cells)->value));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, TableRowTest,
    testing::Values(
        RowCase{
            "running_pod", R"(
apiVersion: v1
kind: Pod
metadata: {name: a, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {nodeName: n1, containers: [{name: x}, {name: z}]}
status:
  phase: Running
  podIP: 10.1.2.3
  containerStatuses:
  - {name: x, ready: true, restartCount: 0, state: {running: {}}}
  - name: z
    ready: false
    restartCount: 2
    state: {waiting: {reason: CrashLoopBackOff}}
    lastState: {terminated: {finishedAt: "2026-01-01T00:55:00Z"}}
)",
            R"--(["a","1/2","CrashLoopBackOff","2 (5m ago)","60m","10.1.2.3","n1","<none>","<none>"])--"},
        RowCase{"pending_pod",
                "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: x}]}, "
                "status: {phase: Pending}}",
                R"(["a","0/1","Pending","0","<unknown>","<none>","<none>","<none>","<none>"])"},
        RowCase{
            "initializing_pod",
            "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {initContainers: [{name: i}, "
            "{name: j}], containers: [{name: x}]}, status: {phase: Pending, "
            "initContainerStatuses: [{name: i, state: {terminated: {exitCode: 0}}}, {name: j, "
            "state: {running: {}}}]}}",
            R"(["a","0/1","Init:1/2","0","<unknown>","<none>","<none>","<none>","<none>"])"},
        RowCase{
            "sidecar_counts",
            "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {initContainers: [{name: i, "
            "restartPolicy: Always}], containers: [{name: x}]}, status: {phase: Running, "
            "initContainerStatuses: [{name: i, started: true, ready: true, state: {running: {}}}], "
            "containerStatuses: [{name: x, ready: true, state: {running: {}}}]}}",
            R"(["a","2/2","Running","0","<unknown>","<none>","<none>","<none>","<none>"])"},
        RowCase{
            "failed_pod",
            "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: x}]}, "
            "status: {phase: Failed, containerStatuses: [{name: x, state: {terminated: {exitCode: "
            "137, reason: OOMKilled}}}]}}",
            R"(["a","0/1","OOMKilled","0","<unknown>","<none>","<none>","<none>","<none>"])"},
        RowCase{"leaving_pod",
                "{apiVersion: v1, kind: Pod, metadata: {name: a, deletionTimestamp: "
                "\"2026-01-01T00:00:00Z\"}, spec: {containers: [{name: x}], readinessGates: "
                "[{conditionType: g}]}, status: {phase: Running, conditions: [{type: g, status: "
                "\"True\"}]}}",
                R"(["a","0/1","Terminating","0","<unknown>","<none>","<none>","<none>","1/1"])"},
        RowCase{"node",
                "{apiVersion: v1, kind: Node, metadata: {name: n1, labels: "
                "{node-role.kubernetes.io/gpu: \"\"}}, spec: {unschedulable: true}, status: "
                "{conditions: [{type: Ready, status: \"True\"}], addresses: [{type: InternalIP, "
                "address: 10.0.0.1}], nodeInfo: {kubeletVersion: v1, kernelVersion: 6.1.0, "
                "architecture: amd64, osImage: Debian}}}",
                R"(["n1","Ready,SchedulingDisabled","gpu","<unknown>","v1","10.0.0.1","<none>",)"
                R"--("Debian","6.1.0 (amd64)","<unknown>"])--"},
        RowCase{
            "deployment",
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {replicas: 3, "
            "selector: {matchLabels: {a: b}}, template: {spec: {containers: [{name: x, image: i}, "
            "{name: z, image: j}]}}}, status: {readyReplicas: 2, updatedReplicas: 3, "
            "availableReplicas: 1}}",
            R"(["d","2/3",3,1,"<unknown>","x,z","i,j","a=b"])"},
        RowCase{"job",
                "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {completions: 2, "
                "template: {spec: {containers: [{name: x, image: i}]}}}, status: {succeeded: 2, "
                "startTime: \"2026-01-01T00:00:00Z\", completionTime: \"2026-01-01T00:01:05Z\", "
                "conditions: [{type: Complete, status: \"True\"}]}}",
                R"(["j","Complete","2/2","65s","<unknown>","x","i","<none>"])"},
        RowCase{
            "service",
            "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: NodePort, "
            "clusterIP: 10.0.0.9, ports: [{port: 80, nodePort: 30000, protocol: TCP}, {port: 53, "
            "protocol: UDP}], selector: {b: c, a: b}}}",
            R"(["s","NodePort","10.0.0.9","<none>","80:30000/TCP,53/UDP","<unknown>","a=b,b=c"])"},
        RowCase{"event",
                "{apiVersion: v1, kind: Event, metadata: {name: e}, type: Warning, reason: Failed, "
                "involvedObject: {kind: Pod, name: p}, message: it broke, source: {component: "
                "berth, host: n1}, firstTimestamp: \"2026-01-01T00:00:00Z\", lastTimestamp: "
                "\"2026-01-01T00:59:00Z\", count: 4}",
                R"(["60s","Warning","Failed","pod/p","","berth, n1","it broke","60m",4,"e"])"},
        RowCase{"modern_event",
                "{apiVersion: events.k8s.io/v1, kind: Event, metadata: {name: e}, type: Normal, "
                "reason: Bound, regarding: {kind: Pod, name: p}, note: done, reportingController: "
                "berth, eventTime: \"2026-01-01T00:59:00.000000Z\"}",
                R"(["60s","Normal","Bound","pod/p","","berth","done","60s",1,"e"])"},
        RowCase{
            "quota",
            "{apiVersion: v1, kind: ResourceQuota, metadata: {name: q}, status: {hard: {cpu: 4, "
            "limits.cpu: \"8\", pods: \"10\"}, used: {pods: \"3\"}}}",
            R"(["q","pods: 3/10","limits.cpu: 0/8","<unknown>"])"},
        RowCase{
            "pod_metrics",
            "{apiVersion: metrics.k8s.io/v1beta1, kind: PodMetrics, metadata: {name: p}, window: "
            "15s, containers: [{usage: {cpu: 250m, memory: 1Gi}}, {usage: {cpu: 1, memory: "
            "512Mi}}]}",
            R"(["p","250m","1536Mi","15s"])"},
        RowCase{
            "queue",
            "{apiVersion: berth.dev/v1alpha1, kind: Queue, metadata: {name: q}, spec: {weight: 2, "
            "guaranteed: {nvidia.com/gpu: \"4\", cpu: \"8\"}}, status: {pending: 1}}",
            R"(["q","",2,"cpu: 8, nvidia.com/gpu: 4","<none>",1,"<unknown>","<none>",""])"},
        RowCase{"an_empty_object_of_a_kind", "{apiVersion: policy/v1, kind: PodDisruptionBudget}",
                R"(["","N/A","N/A",0,"<unknown>"])"}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(TableTest, EveryHookOfTheSchemaExistsAndTakesAnyObject) {
  const auto registry = Registry::built_in();
  for (const char* text :
       {"{}", "[]", R"({"metadata":3,"spec":[],"status":"x"})",
        R"({"spec":{"containers":{},"template":1},"status":{"conditions":[1]}})"}) {
    const Json odd = parse_json(text)->value;
    for (const Kind* kind : registry->kinds()) {
      const Json row = make_table_row(*kind, odd, Time{}, IncludeObject::kObject);
      EXPECT_EQ(row.at("cells").as_array().size(), kind->columns.size());
    }
  }
}

TEST(TableTest, IsATableOfTheMetaGroup) {
  const auto registry = Registry::built_in();
  const auto object = std::make_shared<const Json>(
      parse_json(R"({"metadata":{"name":"a","uid":"u"},"spec":{}})")->value);
  const Kind& pod = *registry->find_kind("v1", "Pod");
  const Json table = make_table(pod, {object}, {{"resourceVersion", "7"}}, Time{});
  EXPECT_EQ(find_string(table, {"kind"}), "Table");
  EXPECT_EQ(find_string(table, {"apiVersion"}), "meta.k8s.io/v1");
  EXPECT_EQ(find_string(table, {"metadata", "resourceVersion"}), "7");
  const Json& name = table.at("columnDefinitions").at(0);
  EXPECT_EQ(find_string(name, {"format"}), "name");
  EXPECT_EQ(find_int(table.at("columnDefinitions").at(7), {"priority"}), 1);
  const Json& row = table.at("rows").at(0);
  EXPECT_EQ(find_string(row, {"object", "kind"}), "PartialObjectMetadata");
  EXPECT_EQ(find_string(row, {"object", "metadata", "uid"}), "u");
  EXPECT_TRUE(make_table(pod, {}, JsonObject(), Time{}, IncludeObject::kNone, false)
                  .at("columnDefinitions")
                  .as_array()
                  .empty());
}

}  // namespace
}  // namespace berth::objects
