#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "objects/validate.h"
#include "objects/yaml.h"

namespace berth::objects {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ManifestTest : public testing::Test {
 protected:
  /// The errors of all documents of a manifest, as a person sees them.
  std::vector<std::string> errors(std::string_view text) {
    const auto documents = parse_yaml(text, "m.yaml");
    if (!documents) return {documents.error().to_string()};
    std::vector<std::string> lines;
    for (const YamlDocument& document : *documents)
      for (const Error& error : check_manifest(*registry_, document, "m.yaml"))
        lines.push_back(error.to_string());
    return lines;
  }

  std::unique_ptr<Registry> registry_ = Registry::built_in();
};

constexpr std::string_view kGoodPod = R"(apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app.kubernetes.io/name: web}
spec:
  containers:
  - name: web
    image: nginx:1.27
    env:
    - {name: MODE, value: "on"}
    resources:
      requests: {cpu: 500m, memory: 1Gi}
      limits: {cpu: 1, memory: 2Gi, nvidia.com/gpu: 1}
    volumeMounts:
    - {name: data, mountPath: /data}
  volumes:
  - {name: data, emptyDir: {}}
)";

TEST_F(ManifestTest, AGoodManifestHasNoErrors) {
  EXPECT_THAT(errors(kGoodPod), IsEmpty());
}

TEST_F(ManifestTest, MetaForMetadataIsAnsweredByItsNameAlone) {
  EXPECT_THAT(errors(R"(apiVersion: v1
kind: Pod
meta:
  name: web
spec:
  containers:
  - name: web
    image: nginx
)"),
              ElementsAre("m.yaml:3:1: meta: unknown field `meta`; did you mean `metadata`?"));
}

TEST_F(ManifestTest, MetaInAPodTemplateDoesNotSpoilTheSelector) {
  EXPECT_THAT(errors(R"(apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    meta:
      labels: {app: web}
    spec:
      containers: [{name: web, image: nginx}]
)"),
              ElementsAre("m.yaml:7:5: spec.template.meta: unknown field `meta`; did you mean "
                          "`metadata`?"));
}

TEST_F(ManifestTest, AllErrorsAreGivenAtOnceInTheOrderOfTheFile) {
  EXPECT_THAT(
      errors(R"(apiVersion: v1
kind: Pod
metadata:
  name: My_Pod
spec:
  restartPolicy: always
  containers:
  - name: web
    imagePullPolicy: Sometimes
    ports:
    - containerPort: 70000
    resources:
      requests: {cpu: 2, memory: 1Gb}
      limits: {cpu: 1}
    volumeMounts:
    - {name: dta, mountPath: /d}
  volumes:
  - {name: data, emptyDir: {}}
)"),
      ElementsAre(HasSubstr("m.yaml:4:3: metadata.name: `My_Pod` must consist of"),
                  "m.yaml:6:3: spec.restartPolicy: `always` is not supported; did you mean "
                  "`Always`? (Always, OnFailure, Never)",
                  "m.yaml:8:5: spec.containers[0].image: must be set",
                  HasSubstr("m.yaml:9:5: spec.containers[0].imagePullPolicy: `Sometimes` is "
                            "not supported; use one of: Always, Never, IfNotPresent"),
                  "m.yaml:11:7: spec.containers[0].ports[0].containerPort: must be between 1 "
                  "and 65535, not 70000",
                  "m.yaml:13:18: spec.containers[0].resources.requests.cpu: 2 is more than "
                  "the limit of 1; raise the limit or lower the request",
                  HasSubstr("m.yaml:13:26: spec.containers[0].resources.requests.memory: "
                            "`1Gb` is not a quantity"),
                  "m.yaml:16:8: spec.containers[0].volumeMounts[0].name: there is no volume "
                  "`dta`; did you mean `data`?"));
}

TEST_F(ManifestTest, WrongTypesSayWhatToWrite) {
  EXPECT_THAT(
      errors(R"(apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {version: 1.50, canary: yes}
  finalizers: on
spec:
  hostNetwork: "true"
  containers:
    name: web
    image: nginx
)"),
      ElementsAre("m.yaml:5:12: metadata.labels.version: must be a string, not 1.5; put it in "
                  "quotes",
                  "m.yaml:5:27: metadata.labels.canary: must be a string, not true; put it in "
                  "quotes",
                  "m.yaml:6:3: metadata.finalizers: must be a list, not true; put it in brackets "
                  "and quotes, as in `[\"a\"]`",
                  "m.yaml:8:3: spec.hostNetwork: must be true or false, not the string "
                  "\"true\"; write it without quotes, as in `hostNetwork: true`",
                  "m.yaml:9:3: spec.containers: must be a list, not a map; start its first "
                  "line with `- `"));
}

TEST_F(ManifestTest, FieldsAtTheWrongDepthSayWhereTheyBelong) {
  EXPECT_THAT(errors(R"(apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  image: nginx
  containers:
  - name: web
    image: nginx
    nodeName: n1
)"),
              ElementsAre("m.yaml:5:3: spec.image: unknown field `image`; it belongs under "
                          "`containers`: indent it",
                          "m.yaml:9:5: spec.containers[0].nodeName: unknown field `nodeName`; it "
                          "belongs under `spec`: indent it less"));
}

TEST_F(ManifestTest, KindAndVersionAreCheckedFirst) {
  EXPECT_THAT(
      errors("apiVersion: v1\nkind: Deployment\nmetadata: {name: a}\n"),
      ElementsAre("m.yaml:1:1: apiVersion: there is no Deployment in `v1`; use `apiVersion: "
                  "apps/v1`"));
  EXPECT_THAT(errors("apiVersion: v1\nkind: pod\n"),
              ElementsAre("m.yaml:2:1: kind: there is no kind `pod`; did you mean `Pod`?"));
  EXPECT_THAT(errors("kind: Job\nmetadata: {name: a}\n"),
              ElementsAre("m.yaml:1:1: apiVersion: must be set; use `apiVersion: batch/v1`"));
  EXPECT_THAT(errors("apiversion: v1\nkind: Pod\n"),
              ElementsAre("m.yaml:1:1: apiversion: unknown field `apiversion`; did you mean "
                          "`apiVersion`?"));
  EXPECT_THAT(errors("- a\n"), ElementsAre(HasSubstr("a manifest must be a map")));
}

TEST_F(ManifestTest, AFieldThatIsSetTwiceIsAnError) {
  EXPECT_THAT(
      errors("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: a}\ndata: {y: b}\n"),
      ElementsAre("m.yaml:5:1: data: the field is set twice: the last one counts; remove one "
                  "of them"));
}

TEST_F(ManifestTest, AJobSaysWhichRestartPolicyItNeeds) {
  EXPECT_THAT(
      errors(R"(apiVersion: batch/v1
kind: Job
metadata: {name: train}
spec:
  template:
    spec:
      containers: [{name: a, image: b}]
)"),
      ElementsAre(testing::AllOf(HasSubstr("spec.template.spec.restartPolicy: must be Never or "
                                           "OnFailure for a Job"),
                                 HasSubstr("set `restartPolicy: Never`"))));
}

struct BadCase {
  const char* name;
  const char* spec;  // of a pod with one good container, or all of it
  const char* error;
};

class BadPodTest : public ManifestTest, public testing::WithParamInterface<BadCase> {};

TEST_P(BadPodTest, IsRefusedForThatReasonOnly) {
  const std::string text =
      std::string("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n") + GetParam().spec;
  EXPECT_THAT(errors(text), ElementsAre(HasSubstr(GetParam().error)));
}

INSTANTIATE_TEST_SUITE_P(
    Rules, BadPodTest,
    testing::Values(
        BadCase{"no_containers", "  containers: []\n", "spec.containers: must not be empty"},
        BadCase{"containers_missing", "  restartPolicy: Never\n", "spec.containers: must be set"},
        BadCase{"same_name", "  containers: [{name: a, image: b}, {name: a, image: b}]\n",
                "spec.containers[1].name: `a` is used twice"},
        BadCase{"same_name_as_init",
                "  containers: [{name: a, image: b}]\n  initContainers: [{name: a, image: b}]\n",
                "spec.initContainers[0].name: `a` is used twice"},
        BadCase{"probe_without_handler",
                "  containers: [{name: a, image: b, livenessProbe: {periodSeconds: 5}}]\n",
                "livenessProbe: has no handler"},
        BadCase{"probe_with_two",
                "  containers: [{name: a, image: b, livenessProbe: {exec: {command: [x]}, "
                "tcpSocket: {port: 1}}}]\n",
                "may have only one handler"},
        BadCase{"probe_port_name",
                "  containers: [{name: a, image: b, ports: [{name: http, containerPort: 80}], "
                "readinessProbe: {httpGet: {port: htp}}}]\n",
                "the container has no port `htp`; did you mean `http`?"},
        BadCase{"success_threshold",
                "  containers: [{name: a, image: b, livenessProbe: {successThreshold: 2, exec: "
                "{command: [x]}}}]\n",
                "successThreshold: must be 1"},
        BadCase{
            "volume_two_sources",
            "  containers: [{name: a, image: b}]\n  volumes: [{name: v, emptyDir: {}, hostPath: "
            "{path: /x}}]\n",
            "may have only one source, not emptyDir and hostPath"},
        BadCase{
            "mount_twice",
            "  containers: [{name: a, image: b, volumeMounts: [{name: v, mountPath: /a}, {name: "
            "v, mountPath: /a}]}]\n  volumes: [{name: v}]\n",
            "volumeMounts[1].mountPath: `/a` is used twice"},
        BadCase{
            "env_both",
            "  containers: [{name: a, image: b, env: [{name: X, value: v, valueFrom: {fieldRef: "
            "{fieldPath: metadata.name}}}]}]\n",
            "valueFrom: cannot be used with `value`"},
        BadCase{
            "field_path",
            "  containers: [{name: a, image: b, env: [{name: X, valueFrom: {fieldRef: {fieldPath: "
            "status.podIp}}}]}]\n",
            "`status.podIp` is not a field to refer to; did you mean `status.podIP`?"},
        BadCase{"gpu_fraction_as_number",
                "  containers: [{name: a, image: b, resources: {limits: {nvidia.com/gpu: 0.5}}}]\n",
                "must be a whole number"},
        BadCase{"resource_name",
                "  containers: [{name: a, image: b, resources: {limits: {mem: 1Gi}}}]\n",
                "`mem` is not a resource; did you mean `memory`?"},
        BadCase{"negative", "  containers: [{name: a, image: b, resources: {limits: {cpu: -1}}}]\n",
                "limits.cpu: must not be negative"},
        BadCase{"toleration",
                "  containers: [{name: a, image: b}]\n  tolerations: [{operator: Equal}]\n",
                "must be Exists when `key` is empty"},
        BadCase{"deadline", "  containers: [{name: a, image: b}]\n  activeDeadlineSeconds: 0\n",
                "must be at least 1"},
        BadCase{"node_selector",
                "  containers: [{name: a, image: b}]\n  nodeSelector: {disk: \"very fast\"}\n",
                "spec.nodeSelector.disk: the value `very fast` must consist of"},
        BadCase{"seccomp",
                "  containers: [{name: a, image: b, securityContext: {seccompProfile: {type: "
                "Localhost}}}]\n",
                "seccompProfile.localhostProfile: must be set when the type is Localhost"},
        BadCase{"storage",
                "  containers: [{name: a, image: b, resources: {limits: {storage: 1Gi}}}]\n",
                "`storage` is not a resource"},
        BadCase{"secret_volume",
                "  containers: [{name: a, image: b}]\n  volumes: [{name: v, secret: {}}]\n",
                "volumes[0].secret.secretName: must be set"},
        BadCase{"dns", "  containers: [{name: a, image: b}]\n  dnsConfig: {nameservers: [here]}\n",
                "nameservers[0]: `here` must be an IPv4 or IPv6 address"},
        BadCase{"null_item", "  containers: [{name: a, image: b}]\n  volumes:\n  -\n",
                "spec.volumes[0]: is empty"}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST_F(ManifestTest, AModelServiceHasItsRules) {
  EXPECT_THAT(errors(R"(apiVersion: berth.dev/v1alpha1
kind: ModelService
metadata: {name: harbour}
spec:
  model: {uri: /srv/models/harbour.gguf}
  engine: {kind: llamacpp}
  variants: [{count: "0.5", resources: {limits: {memory: 512Mi}}}]
  replicas: {min: 0, max: 4}
  objective: {ttft: {target: 2s}}
)"),
              IsEmpty());
  EXPECT_THAT(errors(R"(apiVersion: berth.dev/v1alpha1
kind: ModelService
metadata: {name: harbour}
spec:
  model: {uri: hf://harbour}
  engine: {kind: custom}
  variants: [{count: "1.5"}, {name: a, count: "-1"}, {name: a}]
  replicas: {min: 5, max: 4}
  objective: {ttft: {percentile: 100}}
  scaling: {standby: 9}
)"),
              ElementsAre(HasSubstr("spec.model.uri: `hf://harbour` names no model"),
                          HasSubstr("spec.engine.command: must be set for a custom engine"),
                          HasSubstr("spec.engine.port: must be set for a custom engine"),
                          HasSubstr("spec.variants[0].name: must be set where there are several"),
                          HasSubstr("spec.variants[0].count: must be a whole number of devices"),
                          HasSubstr("spec.variants[1].count: must not be negative"),
                          HasSubstr("spec.variants[2].name: `a` is taken"),
                          HasSubstr("spec.replicas.min: 5 is more than the maximum of 4"),
                          HasSubstr("spec.objective.ttft.target: must be set"),
                          HasSubstr("spec.objective.ttft.percentile: must be between 1 and 99"),
                          HasSubstr("m.yaml:10:13: spec.scaling.standby: 9 is more than")));
}

TEST_F(ManifestTest, OtherKindsHaveTheirRules) {
  EXPECT_THAT(errors(R"(apiVersion: v1
kind: Service
metadata: {name: nine_lives}
spec:
  selector: {app: web}
  ports: [{port: 80}, {port: 80, name: b}]
)"),
              ElementsAre(HasSubstr("metadata.name: `nine_lives`"),
                          HasSubstr("spec.ports[0].name: must be set where a Service has several"),
                          HasSubstr("spec.ports[1]: has the same port and protocol")));
  EXPECT_THAT(errors(R"(apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: wbe}}
    spec: {containers: [{name: a, image: b}]}
)"),
              ElementsAre(HasSubstr("spec.template.metadata.labels: do not match the selector "
                                    "`app=web`")));
  EXPECT_THAT(
      errors(R"(apiVersion: berth.dev/v1alpha1
kind: Queue
metadata: {name: a, namespace: x}
spec:
  parent: a
  weight: 0
  reclaimDelay: 5
  guaranteed: {nvidia.com/gpu: 8}
  limit: {nvidia.com/gpu: 4}
)"),
      ElementsAre(HasSubstr("metadata.namespace: a Queue is not in a namespace"),
                  HasSubstr("spec.parent: a queue cannot be its own parent"),
                  HasSubstr("spec.weight: must be between 1 and 1000000, not 0"),
                  HasSubstr("spec.reclaimDelay: must be a string, not 5"),
                  HasSubstr("spec.guaranteed[nvidia.com/gpu]: 8 is more than the limit of 4")));
  EXPECT_THAT(
      errors(R"(apiVersion: config.berth.dev/v1alpha1
kind: BerthConfiguration
placement: {policy: packed}
prices:
- {accelerator: h100, perHour: 2.5, currency: EUR}
- {perHour: -1, currency: EUR}
)"),
      ElementsAre(HasSubstr("placement.policy: `packed` is not supported; did you mean `pack`?"),
                  HasSubstr("prices[1].accelerator: must be set, or `resource`"),
                  HasSubstr("prices[1].perHour: must be between 0 and 1000000000, not -1")));
}

}  // namespace
}  // namespace berth::objects
