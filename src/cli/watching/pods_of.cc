#include "cli/watching/pods_of.h"

#include <algorithm>
#include <utility>

#include "objects/selector.h"

namespace berth::cli {

std::string selector_text(const Json& selector) {
  const auto parsed = objects::LabelSelector::from_json(selector);
  return parsed ? parsed->to_string() : std::string();
}

Result<std::vector<Json>> pods_of(const Api& api, const std::string& word) {
  const objects::Kind& pod_kind = api.kind("", "pods");
  Subject subject{&pod_kind, word};
  if (word.find('/') != std::string::npos) {
    BERTH_TRY(const std::vector<Subject> subjects, parse_subjects(api.registry(), {word}));
    subject = subjects.front();
  }
  BERTH_TRY(const Json object, api.get(Api::path(*subject.kind, api.ns(), subject.name)));
  if (subject.kind == &pod_kind) return std::vector<Json>{object};

  std::string labels;
  if (subject.kind->plural == "jobs") {
    labels = "batch.kubernetes.io/job-name=" + subject.name;
  } else if (subject.kind->plural == "podgroups") {
    labels = "scheduling.x-k8s.io/pod-group=" + subject.name;
  } else if (subject.kind->plural == "modelservices") {
    labels = "berth.dev/model-service=" + subject.name;
  } else if (const Json* selector = objects::find(object, {"spec", "selector"})) {
    const bool map = subject.kind->plural == "services";
    labels = selector_text(map ? Json(JsonObject{{"matchLabels", *selector}}) : *selector);
  }
  if (labels.empty()) {
    return fail(ErrorCode::kInvalid, word + " has no pods of its own", "",
                "name a pod, job, deployment, modelservice, replicaset, service or podgroup");
  }
  BERTH_TRY(std::vector<Json> pods,
            api.list(pod_kind, api.ns(), query({{"labelSelector", labels}})));
  std::stable_sort(pods.begin(), pods.end(), [](const Json& a, const Json& b) {
    return objects::find_string(a, {"metadata", "creationTimestamp"}) <
           objects::find_string(b, {"metadata", "creationTimestamp"});
  });
  return pods;
}

}  // namespace berth::cli
