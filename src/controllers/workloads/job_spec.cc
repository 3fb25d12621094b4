#include "controllers/workloads/job_spec.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "controllers/conditions.h"
#include "controllers/pods.h"

namespace berth::controllers {
namespace {

std::optional<int64_t> find_optional(const Json& json, std::string_view field) {
  const Json* value = objects::find(json, {"spec", field});
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return objects::find_int(json, {"spec", field});
}

std::optional<int64_t> parse_int(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// What a Job says of its work holds for its pods unless the template says otherwise.
bool is_inherited(std::string_view key) {
  return key.starts_with("berth.dev/") || key == "kueue.x-k8s.io/queue-name" ||
         key == "kai.scheduler/queue" || key == "gpu-fraction" || key == "gpu-memory";
}

void inherit(Json& object, const Json& job, std::string_view field) {
  for (const auto& [key, value] : objects::find_object(job, {"metadata", field})) {
    if (!is_inherited(key)) continue;
    JsonObject& fields = objects::ensure_object(object, {"metadata", field});
    if (!fields.contains(key)) fields[key] = value;
  }
}

bool contains_int(const JsonArray& values, int64_t wanted) {
  return std::any_of(values.begin(), values.end(), [&](const Json& value) {
    return value.is_number() && value.to_number<int64_t>() == wanted;
  });
}

bool exit_code_matches(const Json& rule, const Object& pod) {
  if (objects::find(rule, {"onExitCodes"}) == nullptr) return false;
  const std::string_view container = objects::find_string(rule, {"onExitCodes", "containerName"});
  const bool in = objects::find_string(rule, {"onExitCodes", "operator"}) == "In";
  const JsonArray& values = objects::find_array(rule, {"onExitCodes", "values"});
  for (std::string_view list : {"containerStatuses", "initContainerStatuses"}) {
    for (const Json& status : objects::find_array(*pod.json, {"status", list})) {
      if (!container.empty() && objects::find_string(status, {"name"}) != container) continue;
      if (objects::find(status, {"state", "terminated"}) == nullptr) continue;
      const int64_t code = objects::find_int(status, {"state", "terminated", "exitCode"});
      if (code != 0 && contains_int(values, code) == in) return true;
    }
  }
  return false;
}

bool pod_condition_matches(const Json& rule, const Object& pod) {
  for (const Json& pattern : objects::find_array(rule, {"onPodConditions"})) {
    const Json* condition = find_condition(*pod.json, objects::find_string(pattern, {"type"}));
    if (condition != nullptr && objects::find_string(*condition, {"status"}) ==
                                    objects::find_string(pattern, {"status"}, "True")) {
      return true;
    }
  }
  return false;
}

}  // namespace

JobSpec JobSpec::read(const Json& job) {
  JobSpec spec;
  spec.completions = find_optional(job, "completions");
  spec.parallelism = std::max<int64_t>(0, objects::find_int(job, {"spec", "parallelism"}, 1));
  spec.indexed = objects::find_string(job, {"spec", "completionMode"}) == "Indexed";
  spec.backoff_limit_per_index = find_optional(job, "backoffLimitPerIndex");
  spec.max_failed_indexes = find_optional(job, "maxFailedIndexes");
  spec.backoff_limit = objects::find_int(job, {"spec", "backoffLimit"},
                                         spec.backoff_limit_per_index ? INT32_MAX : 6);
  if (const auto seconds = find_optional(job, "activeDeadlineSeconds")) {
    spec.deadline = Duration::seconds(*seconds);
  }
  if (const auto seconds = find_optional(job, "ttlSecondsAfterFinished")) {
    spec.ttl = Duration::seconds(*seconds);
  }
  spec.suspended = objects::find_bool(job, {"spec", "suspend"});
  spec.replace_only_failed =
      objects::find_string(job, {"spec", "podReplacementPolicy"},
                           objects::find(job, {"spec", "podFailurePolicy"}) != nullptr
                               ? "Failed"
                               : "TerminatingOrFailed") == "Failed";
  spec.restarts_in_place =
      objects::find_string(job, {"spec", "template", "spec", "restartPolicy"}) == "OnFailure";
  spec.gang = objects::find_string(job, {"metadata", "labels", "berth.dev/gang"}) == "true" ||
              objects::find_string(
                  job, {"spec", "template", "metadata", "labels", "berth.dev/gang"}) == "true";
  spec.gang_min =
      spec.completions ? std::min(spec.parallelism, *spec.completions) : spec.parallelism;
  const auto asked =
      parse_int(objects::find_string(job, {"metadata", "annotations", "berth.dev/gang-min"}));
  if (asked) spec.gang_min = std::min(*asked, spec.gang_min);
  spec.gang_min = std::max<int64_t>(1, spec.gang_min);
  return spec;
}

std::set<int64_t> parse_indexes(std::string_view text) {
  std::set<int64_t> indexes;
  for (std::string_view part : split(text, ',')) {
    const size_t dash = part.find('-');
    const auto first = parse_int(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_int(part.substr(dash + 1));
    if (!first || !last) continue;
    for (int64_t index = *first; index <= *last; ++index) indexes.insert(index);
  }
  return indexes;
}

std::string format_indexes(const std::set<int64_t>& indexes) {
  std::string text;
  for (auto at = indexes.begin(); at != indexes.end();) {
    const int64_t first = *at;
    int64_t last = first;
    while (++at != indexes.end() && *at == last + 1) last = *at;
    if (!text.empty()) text += ',';
    text += std::to_string(first);
    // Kubernetes writes two neighbours as `3,4` and more as `3-5`.
    if (last != first) text += (last == first + 1 ? "," : "-") + std::to_string(last);
  }
  return text;
}

int64_t index_of(const Object& pod) {
  return parse_int(pod.annotation(kJobIndex)).value_or(-1);
}

Json job_pod(const Object& job, const JobSpec& spec, int64_t index, int64_t index_failures) {
  const std::string base = job.key.name + (index < 0 ? "" : "-" + std::to_string(index));
  Json pod =
      pod_from_template(objects::find_object(*job.json, {"spec", "template"}), job, base + "-");
  Json& finalizers = objects::ensure_object(pod, {"metadata"})["finalizers"];
  if (!finalizers.is_array()) finalizers.emplace_array();
  finalizers.get_array().push_back(Json(kJobFinalizer));
  inherit(pod, *job.json, "labels");
  inherit(pod, *job.json, "annotations");
  JsonObject& labels = objects::ensure_object(pod, {"metadata", "labels"});
  for (std::string_view prefix : {"", "batch.kubernetes.io/"}) {
    labels[std::string(prefix) + "job-name"] = job.key.name;
    labels[std::string(prefix) + "controller-uid"] = job.uid;
  }
  if (spec.gang) labels[kPodGroupLabel] = job.key.name;
  JsonObject& annotations = objects::ensure_object(pod, {"metadata", "annotations"});
  if (spec.deadline && !annotations.contains("berth.dev/expected-duration")) {
    annotations["berth.dev/expected-duration"] = format_duration(*spec.deadline);
  }
  if (index < 0) return pod;

  const std::string text = std::to_string(index);
  objects::ensure_object(pod, {"metadata", "labels"})[kJobIndex] = text;
  annotations[kJobIndex] = text;
  if (spec.backoff_limit_per_index) {
    annotations["batch.kubernetes.io/job-index-failure-count"] = std::to_string(index_failures);
  }
  JsonObject& pod_spec = objects::ensure_object(pod, {"spec"});
  if (!pod_spec.contains("hostname")) pod_spec["hostname"] = base;
  for (std::string_view list : {"initContainers", "containers"}) {
    Json* containers = pod_spec.if_contains(list);
    if (containers == nullptr || !containers->is_array()) continue;
    for (Json& container : containers->get_array()) {
      if (!container.is_object()) continue;
      Json& env = container.get_object()["env"];
      if (!env.is_array()) env.emplace_array();
      env.get_array().push_back(JsonObject{{"name", "JOB_COMPLETION_INDEX"}, {"value", text}});
    }
  }
  return pod;
}

Json job_pod_group(const Object& job, const JobSpec& spec) {
  Json group = JsonObject{
      {"metadata",
       JsonObject{{"name", job.key.name}, {"ownerReferences", JsonArray{owner_reference(job)}}}},
      {"spec", JsonObject{{"minMember", spec.gang_min}}}};
  inherit(group, *job.json, "labels");
  inherit(group, *job.json, "annotations");
  return group;
}

FailureAction failure_action(const Json& job, const Object& pod) {
  for (const Json& rule : objects::find_array(job, {"spec", "podFailurePolicy", "rules"})) {
    if (!exit_code_matches(rule, pod) && !pod_condition_matches(rule, pod)) continue;
    const std::string_view action = objects::find_string(rule, {"action"});
    if (action == "Ignore") return FailureAction::kIgnore;
    if (action == "FailJob") return FailureAction::kFailJob;
    if (action == "FailIndex") return FailureAction::kFailIndex;
    return FailureAction::kCount;
  }
  return FailureAction::kCount;
}

}  // namespace berth::controllers
