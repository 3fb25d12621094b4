#include "objects/defaults.h"

#include <gtest/gtest.h>

#include "objects/json_text.h"
#include "objects/yaml.h"

namespace berth::objects {
namespace {

Json yaml(std::string_view text) {
  auto documents = parse_yaml(text);
  if (!documents || documents->empty()) {
    ADD_FAILURE() << text;
    return {};
  }
  return documents->front().value;
}

struct DefaultsCase {
  const char* name;
  const char* before;
  const char* after;  // what a kube-apiserver 1.36 makes of it, without what it assigns
};

class DefaultsTest : public testing::TestWithParam<DefaultsCase> {};

TEST_P(DefaultsTest, AreThoseOfKubernetes) {
  const auto registry = Registry::built_in();
  Json object = yaml(GetParam().before);
  const Kind* kind = registry->find_kind(api_version_of(object), kind_of(object));
  ASSERT_NE(kind, nullptr);
  prune(*kind, object);
  apply_defaults(*kind, object);
  EXPECT_EQ(to_yaml(object), to_yaml(yaml(GetParam().after)));
  Json again = object;
  apply_defaults(*kind, again);
  EXPECT_EQ(canonical_json(again), canonical_json(object)) << "running it again changes something";
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, DefaultsTest,
    testing::Values(
        DefaultsCase{"pod", R"(
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  containers:
  - name: a
    image: busybox
    ports: [{containerPort: 80}]
    resources: {limits: {cpu: 1000m, memory: 1024Mi}, requests: {cpu: 0.5}}
    livenessProbe: {httpGet: {port: 80}, periodSeconds: 0}
    env: [{name: X, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
  - {name: b, image: "registry:5000/x:1.2", imagePullPolicy: ""}
  volumes:
  - {name: v}
  - {name: c, configMap: {name: c}}
  - {name: h, hostPath: {path: /x}}
)",
                     R"(
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  containers:
  - name: a
    image: busybox
    imagePullPolicy: Always
    ports: [{containerPort: 80, protocol: TCP}]
    resources: {limits: {cpu: "1", memory: 1Gi}, requests: {cpu: 500m, memory: 1Gi}}
    livenessProbe:
      httpGet: {path: /, port: 80, scheme: HTTP}
      failureThreshold: 3
      periodSeconds: 10
      successThreshold: 1
      timeoutSeconds: 1
    env: [{name: X, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.name}}}]
    terminationMessagePath: /dev/termination-log
    terminationMessagePolicy: File
  - name: b
    image: "registry:5000/x:1.2"
    imagePullPolicy: IfNotPresent
    resources: {}
    terminationMessagePath: /dev/termination-log
    terminationMessagePolicy: File
  dnsPolicy: ClusterFirst
  enableServiceLinks: true
  restartPolicy: Always
  schedulerName: default-scheduler
  securityContext: {}
  terminationGracePeriodSeconds: 30
  volumes:
  - {name: v, emptyDir: {}}
  - {name: c, configMap: {name: c, defaultMode: 420}}
  - {name: h, hostPath: {path: /x, type: ""}}
)"},
        DefaultsCase{"deployment", R"(
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec: {containers: [{name: a, image: "b:latest", resources: {limits: {cpu: 1}}}]}
)",
                     R"(
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  progressDeadlineSeconds: 600
  replicas: 1
  revisionHistoryLimit: 10
  selector: {matchLabels: {a: b}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}
  template:
    metadata: {labels: {a: b}}
    spec:
      containers:
      - name: a
        image: "b:latest"
        imagePullPolicy: Always
        resources: {limits: {cpu: "1"}}
        terminationMessagePath: /dev/termination-log
        terminationMessagePolicy: File
      dnsPolicy: ClusterFirst
      restartPolicy: Always
      schedulerName: default-scheduler
      securityContext: {}
      terminationGracePeriodSeconds: 30
)"},
        DefaultsCase{"recreate",
                     "{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 0, strategy: {type: "
                     "Recreate}}}",
                     "{apiVersion: apps/v1, kind: Deployment, spec: {progressDeadlineSeconds: 600, "
                     "replicas: 0, revisionHistoryLimit: 10, strategy: {type: Recreate}}}"},
        DefaultsCase{"job", R"(
apiVersion: batch/v1
kind: Job
metadata: {name: a}
spec: {template: {metadata: {labels: {x: z}}}}
)",
                     R"(
apiVersion: batch/v1
kind: Job
metadata: {name: a, labels: {x: z}}
spec:
  backoffLimit: 6
  completionMode: NonIndexed
  completions: 1
  manualSelector: false
  parallelism: 1
  podReplacementPolicy: TerminatingOrFailed
  suspend: false
  template: {metadata: {labels: {x: z}}}
)"},
        DefaultsCase{"created_job", R"(
apiVersion: batch/v1
kind: Job
metadata: {name: a, uid: u1}
spec: {template: {metadata: {labels: {x: z}}}}
)",
                     R"(
apiVersion: batch/v1
kind: Job
metadata:
  name: a
  uid: u1
  labels: {x: z, controller-uid: u1, job-name: a, batch.kubernetes.io/controller-uid: u1,
           batch.kubernetes.io/job-name: a}
spec:
  backoffLimit: 6
  completionMode: NonIndexed
  completions: 1
  manualSelector: false
  parallelism: 1
  podReplacementPolicy: TerminatingOrFailed
  selector: {matchLabels: {batch.kubernetes.io/controller-uid: u1}}
  suspend: false
  template:
    metadata:
      labels: {x: z, controller-uid: u1, job-name: a, batch.kubernetes.io/controller-uid: u1,
               batch.kubernetes.io/job-name: a}
)"},
        DefaultsCase{"work_queue_job",
                     "{apiVersion: batch/v1, kind: Job, spec: {parallelism: 3, podFailurePolicy: "
                     "{rules: []}}}",
                     "{apiVersion: batch/v1, kind: Job, spec: {backoffLimit: 6, completionMode: "
                     "NonIndexed, manualSelector: false, parallelism: 3, podFailurePolicy: {rules: "
                     "[]}, podReplacementPolicy: Failed, suspend: false}}"},
        DefaultsCase{
            "service",
            "{apiVersion: v1, kind: Service, spec: {ports: [{port: 80}, {port: 81, "
            "targetPort: http, name: b}]}}",
            "{apiVersion: v1, kind: Service, spec: {internalTrafficPolicy: Cluster, ports: "
            "[{port: 80, protocol: TCP, targetPort: 80}, {port: 81, targetPort: http, "
            "protocol: TCP, name: b}], sessionAffinity: None, type: ClusterIP}}"},
        DefaultsCase{"namespace", "{apiVersion: v1, kind: Namespace, metadata: {name: a}}",
                     "{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: "
                     "{kubernetes.io/metadata.name: a}}, status: {phase: Active}}"},
        DefaultsCase{"secret",
                     "{apiVersion: v1, kind: Secret, stringData: {a: hello}, data: {b: eA==}}",
                     "{apiVersion: v1, kind: Secret, type: Opaque, data: {a: aGVsbG8=, b: eA==}}"},
        DefaultsCase{"priority_class",
                     "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, value: 5}",
                     "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, value: 5, "
                     "preemptionPolicy: PreemptLowerPriority}"},
        DefaultsCase{
            "role_binding",
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, roleRef: {kind: "
            "Role, name: a}, subjects: [{kind: User, name: u}, {kind: ServiceAccount, name: "
            "s}]}",
            "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, roleRef: {kind: "
            "Role, name: a, apiGroup: rbac.authorization.k8s.io}, subjects: [{kind: User, "
            "name: u, apiGroup: rbac.authorization.k8s.io}, {kind: ServiceAccount, name: s}]}"},
        DefaultsCase{
            "node",
            "{apiVersion: v1, kind: Node, status: {capacity: {cpu: 4000m, memory: 1048576Ki}}}",
            "{apiVersion: v1, kind: Node, status: {capacity: {cpu: \"4\", memory: 1Gi}, "
            "allocatable: {cpu: \"4\", memory: 1Gi}}}"},
        DefaultsCase{
            "queue",
            "{apiVersion: berth.dev/v1alpha1, kind: Queue, spec: {budget: {amount: 5, "
            "currency: EUR}}, status: {anything: {kept: true}}}",
            "{apiVersion: berth.dev/v1alpha1, kind: Queue, spec: {weight: 1, budget: {amount: "
            "5, currency: EUR, period: Month, onExceeded: Warn}}, status: {anything: {kept: "
            "true}}}"},
        DefaultsCase{
            "pruned",
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, creationTimestamp: null, "
            "managedFields: [{fieldsV1: {\"f:x\": {}}}]}, data: {a: null}, bogus: 1}",
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, managedFields: "
            "[{fieldsV1: {\"f:x\": {}}}]}, data: {a: \"\"}}"},
        DefaultsCase{
            "times",
            "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {creationTimestamp: "
            "\"2026-01-02T03:04:05.5+01:00\"}, spec: {renewTime: \"2026-01-02T03:04:05Z\"}}",
            "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {creationTimestamp: "
            "\"2026-01-02T02:04:05Z\"}, spec: {renewTime: "
            "\"2026-01-02T03:04:05.000000Z\"}}"}),
    [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace berth::objects
