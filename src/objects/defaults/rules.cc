#include "objects/defaults/rules.h"

#include <limits>
#include <string>
#include <unordered_map>

#include "objects/text_forms.h"

// Source: k8s.io/kubernetes/pkg/apis/*/v1/defaults.go. To add one: a function of the object, and a
// row in the table at the end.

namespace berth::objects {
namespace {

bool is_set(const JsonObject& object, std::string_view key) {
  const Json* value = object.if_contains(key);
  return value != nullptr && !value->is_null() &&
         !(value->is_string() && value->get_string().empty());
}

void set_default(JsonObject& object, std::string_view key, Json value) {
  if (!is_set(object, key)) object[key] = std::move(value);
}

std::string_view text(const JsonObject& object, std::string_view key) {
  const Json* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                : std::string_view();
}

JsonObject* member_object(JsonObject& object, std::string_view key) {
  Json* value = object.if_contains(key);
  return value != nullptr ? value->if_object() : nullptr;
}

template <class Body>
void for_each_object(JsonObject& object, std::string_view list, Body body) {
  Json* value = object.if_contains(list);
  JsonArray* array = value != nullptr ? value->if_array() : nullptr;
  if (array == nullptr) return;
  for (Json& item : *array)
    if (JsonObject* members = item.if_object()) body(*members);
}

void container(JsonObject& object) {
  set_default(object, "imagePullPolicy",
              has_latest_tag(text(object, "image")) ? "Always" : "IfNotPresent");
}

void probe(JsonObject& object) {
  // Zero is Go's unset, and clients send it.
  for (std::string_view key :
       {"timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"})
    if (const Json* value = object.if_contains(key); value != nullptr && *value == Json(0))
      object.erase(key);
}

void volume(JsonObject& object) {
  for (const auto& [key, value] : object)
    if (key != "name" && !value.is_null()) return;
  object["emptyDir"] = JsonObject();
}

void image_volume(JsonObject& object) {
  set_default(object, "pullPolicy",
              has_latest_tag(text(object, "reference")) ? "Always" : "IfNotPresent");
}

void requests_from_limits(JsonObject& container) {
  JsonObject* resources = member_object(container, "resources");
  JsonObject* limits = resources != nullptr ? member_object(*resources, "limits") : nullptr;
  if (limits == nullptr) return;
  const JsonObject limit_values = *limits;
  if (!is_set(*resources, "requests")) (*resources)["requests"] = JsonObject();
  JsonObject* requests = member_object(*resources, "requests");
  if (requests == nullptr) return;
  for (const auto& [key, value] : limit_values)
    if (!requests->contains(key)) (*requests)[key] = value;
}

void host_ports(JsonObject& container) {
  for_each_object(container, "ports", [](JsonObject& port) {
    const Json* host = port.if_contains("hostPort");
    const Json* inside = port.if_contains("containerPort");
    if (inside != nullptr && (host == nullptr || host->is_null() || *host == Json(0)))
      port["hostPort"] = Json(*inside);
  });
}

void pod(JsonObject& object) {
  JsonObject* spec = member_object(object, "spec");
  if (spec == nullptr) return;
  set_default(*spec, "enableServiceLinks", true);
  const Json* host_network = spec->if_contains("hostNetwork");
  const bool on_host = host_network != nullptr && *host_network == Json(true);
  for (std::string_view list : {"containers", "initContainers"})
    for_each_object(*spec, list, [on_host](JsonObject& each) {
      requests_from_limits(each);
      if (on_host) host_ports(each);
    });
}

void pod_spec(JsonObject& object) {
  // `serviceAccount` is the old name of the same field; the API keeps both equal.
  if (is_set(object, "serviceAccountName")) {
    object["serviceAccount"] = Json(object["serviceAccountName"]);
  } else if (is_set(object, "serviceAccount")) {
    object["serviceAccountName"] = Json(object["serviceAccount"]);
  }
}

void namespace_object(JsonObject& object) {
  JsonObject* metadata = member_object(object, "metadata");
  if (metadata == nullptr || !is_set(*metadata, "name")) return;
  const Json name = (*metadata)["name"];
  if (!is_set(*metadata, "labels")) (*metadata)["labels"] = JsonObject();
  if (JsonObject* labels = member_object(*metadata, "labels"))
    (*labels)["kubernetes.io/metadata.name"] = name;
}

void node_status(JsonObject& object) {
  if (is_set(object, "capacity") && !is_set(object, "allocatable"))
    object["allocatable"] = Json(object["capacity"]);
}

void service_spec(JsonObject& object) {
  set_default(object, "type", "ClusterIP");
  set_default(object, "sessionAffinity", "None");
  const std::string type(text(object, "type"));
  if (text(object, "sessionAffinity") == "None") object.erase("sessionAffinityConfig");
  if (text(object, "sessionAffinity") == "ClientIP" && !is_set(object, "sessionAffinityConfig"))
    object["sessionAffinityConfig"] = {{"clientIP", {{"timeoutSeconds", 10800}}}};
  for_each_object(object, "ports", [](JsonObject& port) {
    const Json* target = port.if_contains("targetPort");
    const Json* number = port.if_contains("port");
    if (number != nullptr && (!is_set(port, "targetPort") || *target == Json(0)))
      port["targetPort"] = Json(*number);
  });
  if (type == "ExternalName") return;
  set_default(object, "internalTrafficPolicy", "Cluster");
  if (type == "NodePort" || type == "LoadBalancer")
    set_default(object, "externalTrafficPolicy", "Cluster");
  if (type == "LoadBalancer") set_default(object, "allocateLoadBalancerNodePorts", true);
}

void secret(JsonObject& object) {
  // Written in plain text for convenience; kept, and read back, as data.
  JsonObject* plain = member_object(object, "stringData");
  if (plain == nullptr) return;
  const JsonObject values = *plain;
  if (!is_set(object, "data")) object["data"] = JsonObject();
  JsonObject* encoded = member_object(object, "data");
  if (encoded == nullptr) return;
  for (const auto& [key, value] : values)
    if (value.is_string()) (*encoded)[key] = base64(value.get_string());
  object.erase("stringData");
}

void deployment_strategy(JsonObject& object) {
  set_default(object, "type", "RollingUpdate");
  if (text(object, "type") == "RollingUpdate") set_default(object, "rollingUpdate", JsonObject());
}

JsonObject* make_object(JsonObject& object, std::string_view key) {
  if (!is_set(object, key)) object[key] = JsonObject();
  return member_object(object, key);
}

/// A Job that has an identity selects its pods by it, unless its user chose a selector.
void job_selector(const JsonObject& metadata, JsonObject& spec) {
  const Json* manual = spec.if_contains("manualSelector");
  const Json uid(text(metadata, "uid")), name(text(metadata, "name"));
  if (!is_set(metadata, "uid") || (manual != nullptr && *manual == Json(true))) return;
  set_default(spec, "selector",
              JsonObject{{"matchLabels", JsonObject{{"batch.kubernetes.io/controller-uid", uid}}}});
  JsonObject* of_template = member_object(spec, "template");
  JsonObject* inner = of_template != nullptr ? make_object(*of_template, "metadata") : nullptr;
  JsonObject* labels = inner != nullptr ? make_object(*inner, "labels") : nullptr;
  if (labels == nullptr) return;
  for (const std::string_view prefix : {"", "batch.kubernetes.io/"}) {
    set_default(*labels, std::string(prefix) + "controller-uid", uid);
    set_default(*labels, std::string(prefix) + "job-name", name);
  }
}

void job(JsonObject& object) {
  JsonObject* spec = member_object(object, "spec");
  JsonObject* metadata = member_object(object, "metadata");
  if (spec == nullptr || metadata == nullptr) return;
  job_selector(*metadata, *spec);
  JsonObject* of_template = member_object(*spec, "template");
  JsonObject* inner = of_template != nullptr ? member_object(*of_template, "metadata") : nullptr;
  JsonObject* labels = inner != nullptr ? member_object(*inner, "labels") : nullptr;
  if (labels == nullptr || labels->empty()) return;
  const Json* own = metadata->if_contains("labels");
  if (own == nullptr || own->is_null() || (own->is_object() && own->get_object().empty()))
    (*metadata)["labels"] = Json(*labels);
}

void job_spec(JsonObject& object) {
  if (!is_set(object, "completions") && !is_set(object, "parallelism")) object["completions"] = 1;
  set_default(object, "parallelism", 1);
  set_default(object, "backoffLimit",
              is_set(object, "backoffLimitPerIndex") ? std::numeric_limits<int32_t>::max() : 6);
  set_default(object, "podReplacementPolicy",
              is_set(object, "podFailurePolicy") ? "Failed" : "TerminatingOrFailed");
}

void subject(JsonObject& object) {
  const std::string_view kind = text(object, "kind");
  if (kind == "User" || kind == "Group")
    set_default(object, "apiGroup", "rbac.authorization.k8s.io");
}

}  // namespace

DefaultsRule defaults_rule(std::string_view struct_name) {
  static const std::unordered_map<std::string_view, DefaultsRule> kRules = {
      {"apps.v1.DeploymentStrategy", deployment_strategy},
      {"batch.v1.Job", job},
      {"batch.v1.JobSpec", job_spec},
      {"core.v1.Container", container},
      {"core.v1.EphemeralContainer", container},
      {"core.v1.ImageVolumeSource", image_volume},
      {"core.v1.Namespace", namespace_object},
      {"core.v1.NodeStatus", node_status},
      {"core.v1.Pod", pod},
      {"core.v1.PodSpec", pod_spec},
      {"core.v1.Probe", probe},
      {"core.v1.Secret", secret},
      {"core.v1.ServiceSpec", service_spec},
      {"core.v1.Volume", volume},
      {"rbac.v1.Subject", subject},
  };
  const auto at = kRules.find(struct_name);
  return at != kRules.end() ? at->second : nullptr;
}

}  // namespace berth::objects
