#include <string>
#include <unordered_map>

#include <fmt/format.h>

#include "objects/json_text.h"
#include "objects/selector.h"
#include "objects/validate/rules.h"

// Source: k8s.io/kubernetes/pkg/apis/{apps,batch}/validation.

namespace berth::objects {
namespace {

/// A controller must own the pods that it makes: its selector has to match their labels.
void check_selector(const JsonObject& spec, IssueSink& sink) {
  const Json* selector = member(spec, "selector");
  const Json* pod_template = member(spec, "template");
  if (selector == nullptr || !selector->is_object()) return;
  const auto parsed = LabelSelector::from_json(*selector);
  if (!parsed) return;  // its fields are complained about by their own rules
  if (parsed->everything()) {
    sink.add(Issue::Kind::kInvalid, "selector", "must not be empty: it would match every pod",
             "set matchLabels to the labels of the template");
    return;
  }
  if (pod_template == nullptr || !pod_template->is_object()) return;
  if (parsed->matches_object(*pod_template)) return;
  const PathScope outer(sink.path, "template");
  const PathScope inner(sink.path, "metadata");
  sink.add(Issue::Kind::kInvalid, "labels",
           fmt::format("do not match the selector `{}`", parsed->to_string()),
           "give the template the labels that spec.selector asks for");
}

std::string_view template_restart_policy(const JsonObject& spec) {
  return text_of(object_of(object_of(spec, "template"), "spec"), "restartPolicy");
}

void restart_policy_issue(IssueSink& sink, std::string what, std::string fix) {
  const PathScope outer(sink.path, "template");
  const PathScope inner(sink.path, "spec");
  sink.add(Issue::Kind::kNotSupported, "restartPolicy", std::move(what), std::move(fix));
}

void check_always(const JsonObject& spec, IssueSink& sink) {
  const std::string_view policy = template_restart_policy(spec);
  if (!policy.empty() && policy != "Always")
    restart_policy_issue(sink, fmt::format("must be Always, not {}", policy),
                         "remove it; for work that ends, use a Job");
  const PathScope outer(sink.path, "template");
  const PathScope inner(sink.path, "spec");
  if (member(object_of(object_of(spec, "template"), "spec"), "activeDeadlineSeconds") != nullptr)
    sink.add(Issue::Kind::kForbidden, "activeDeadlineSeconds",
             "may not be set for pods that are to run for good",
             "remove it; for work that ends, use a Job");
}

void deployment_spec(const JsonObject& spec, IssueSink& sink) {
  check_selector(spec, sink);
  check_always(spec, sink);
  const Json* ready = member(spec, "minReadySeconds");
  const Json* deadline = member(spec, "progressDeadlineSeconds");
  if (ready != nullptr && deadline != nullptr && ready->is_int64() && deadline->is_int64() &&
      deadline->get_int64() <= ready->get_int64())
    sink.add(Issue::Kind::kInvalid, "progressDeadlineSeconds",
             "must be greater than minReadySeconds", "");
}

/// Checks a count or a percentage; gives whether it is zero.
bool check_share(const JsonObject& object, std::string_view key, bool at_most_all,
                 IssueSink& sink) {
  const Json* value = member(object, key);
  if (value == nullptr) return false;
  if (value->is_int64()) {
    if (value->get_int64() < 0) sink.add(Issue::Kind::kInvalid, key, "must not be negative", "");
    return value->get_int64() == 0;
  }
  if (!value->is_string()) return false;
  const std::string_view text = value->get_string();
  const std::string_view digits = text.substr(0, text.size() - (text.empty() ? 0 : 1));
  const bool shaped = text.ends_with('%') && !digits.empty() && digits.size() <= 4 &&
                      digits.find_first_not_of("0123456789") == std::string_view::npos;
  if (!shaped) {
    sink.add(Issue::Kind::kInvalid, key, fmt::format("`{}` is not a number or a percentage", text),
             "write it as 1 or as \"25%\"");
    return false;
  }
  const int percent = std::stoi(std::string(digits));
  if (at_most_all && percent > 100)
    sink.add(Issue::Kind::kInvalid, key, "must not be more than 100%", "");
  return percent == 0;
}

void deployment_strategy(const JsonObject& object, IssueSink& sink) {
  const Json* rolling = member(object, "rollingUpdate");
  if (rolling == nullptr || !rolling->is_object()) return;
  if (text_of(object, "type") == "Recreate") {
    sink.add(Issue::Kind::kForbidden, "rollingUpdate", "may not be set when the type is Recreate",
             "remove it, or set `type: RollingUpdate`");
    return;
  }
  const PathScope scope(sink.path, "rollingUpdate");
  const bool no_unavailable = check_share(rolling->get_object(), "maxUnavailable", true, sink);
  const bool no_surge = check_share(rolling->get_object(), "maxSurge", false, sink);
  if (no_unavailable && no_surge)
    sink.add(Issue::Kind::kInvalid, "maxUnavailable", "may not be 0 when `maxSurge` is 0",
             "an update could not make a step: raise one of them");
}

void replica_set_spec(const JsonObject& spec, IssueSink& sink) {
  check_selector(spec, sink);
  check_always(spec, sink);
}

void job_spec(const JsonObject& spec, IssueSink& sink) {
  const std::string_view policy = template_restart_policy(spec);
  const bool has_template = !object_of(object_of(spec, "template"), "spec").empty();
  if (has_template && policy != "Never" && policy != "OnFailure")
    restart_policy_issue(sink,
                         policy == "Always" ? "must be Never or OnFailure for a Job (the default, "
                                              "Always, is for work that does not end)"
                                            : "must be Never or OnFailure for a Job",
                         "set `restartPolicy: Never`");
  const std::string_view manager = text_of(spec, "managedBy");
  if (!manager.empty() && manager.find('/') == std::string_view::npos)
    sink.add(Issue::Kind::kInvalid, "managedBy", "must have a domain", "as in `example.com/name`");
  const bool indexed = text_of(spec, "completionMode") == "Indexed";
  if (indexed && member(spec, "completions") == nullptr)
    sink.add(Issue::Kind::kRequired, "completions", "must be set when completionMode is Indexed",
             "set it to the number of workers");
  const Json* parallelism = member(spec, "parallelism");
  if (indexed && parallelism != nullptr && parallelism->is_int64() &&
      parallelism->get_int64() > 100'000)
    sink.add(Issue::Kind::kInvalid, "parallelism", "must be at most 100000 for an indexed Job", "");
  for (std::string_view key : {"backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"})
    if (!indexed && member(spec, key) != nullptr)
      sink.add(Issue::Kind::kInvalid, key, "needs `completionMode: Indexed`", "");
  if (member(spec, "maxFailedIndexes") != nullptr &&
      member(spec, "backoffLimitPerIndex") == nullptr)
    sink.add(Issue::Kind::kRequired, "backoffLimitPerIndex",
             "must be set when `maxFailedIndexes` is", "");
  if (member(spec, "podFailurePolicy") != nullptr && policy != "Never")
    restart_policy_issue(sink, "must be Never when `podFailurePolicy` is set",
                         "set `restartPolicy: Never`");
}

/// The selector of a Job is made from its uid (defaults), so that no Job takes another's pods.
void job(const JsonObject& object, IssueSink& sink) {
  const JsonObject& spec = object_of(object, "spec");
  const Json* selector = member(spec, "selector");
  const Json* manual = member(spec, "manualSelector");
  if (selector == nullptr || !selector->is_object()) return;
  const PathScope scope(sink.path, "spec");
  if (manual != nullptr && *manual == Json(true)) {
    check_selector(spec, sink);
    return;
  }
  const std::string_view uid = text_of(object_of(object, "metadata"), "uid");
  const Json made =
      JsonObject{{"matchLabels", JsonObject{{"batch.kubernetes.io/controller-uid", uid}}}};
  if (uid.empty() || *selector != made)
    sink.add(Issue::Kind::kInvalid, "selector", "is made by the server, from the Job's uid",
             "remove it, or set `manualSelector: true`");
  else
    check_selector(spec, sink);
}

void budget_spec(const JsonObject& spec, IssueSink& sink) {
  if (member(spec, "minAvailable") != nullptr && member(spec, "maxUnavailable") != nullptr)
    sink.add(Issue::Kind::kInvalid, "maxUnavailable", "cannot be used with `minAvailable`",
             "remove one of them");
  check_share(spec, "minAvailable", true, sink);
  check_share(spec, "maxUnavailable", true, sink);
}

}  // namespace

ValueRule workload_value_rule(std::string_view struct_name) {
  static const std::unordered_map<std::string_view, ValueRule> kRules = {
      {"apps.v1.DeploymentSpec", deployment_spec},
      {"apps.v1.DeploymentStrategy", deployment_strategy},
      {"apps.v1.ReplicaSetSpec", replica_set_spec},
      {"batch.v1.Job", job},
      {"batch.v1.JobSpec", job_spec},
      {"policy.v1.PodDisruptionBudgetSpec", budget_spec},
  };
  const auto at = kRules.find(struct_name);
  return at != kRules.end() ? at->second : nullptr;
}

}  // namespace berth::objects
