#include "controllers/kinds.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace berth::controllers {
namespace {

const std::vector<KindRow>& rows() {
  static const std::vector<KindRow> kRows = {
      {Kind::kNamespace, {"", "v1", "namespaces"}, "v1", "Namespace", false, true},
      {Kind::kNode, {"", "v1", "nodes"}, "v1", "Node", false, false},
      {Kind::kPod, {"", "v1", "pods"}, "v1", "Pod", true, false},
      {Kind::kService, {"", "v1", "services"}, "v1", "Service", true, false},
      {Kind::kEndpointSlice,
       {"discovery.k8s.io", "v1", "endpointslices"},
       "discovery.k8s.io/v1",
       "EndpointSlice",
       true,
       false},
      {Kind::kConfigMap, {"", "v1", "configmaps"}, "v1", "ConfigMap", true, true},
      {Kind::kSecret, {"", "v1", "secrets"}, "v1", "Secret", true, true},
      {Kind::kServiceAccount, {"", "v1", "serviceaccounts"}, "v1", "ServiceAccount", true, true},
      {Kind::kResourceQuota, {"", "v1", "resourcequotas"}, "v1", "ResourceQuota", true, false},
      {Kind::kDeployment, {"apps", "v1", "deployments"}, "apps/v1", "Deployment", true, false},
      {Kind::kReplicaSet, {"apps", "v1", "replicasets"}, "apps/v1", "ReplicaSet", true, false},
      {Kind::kJob, {"batch", "v1", "jobs"}, "batch/v1", "Job", true, false},
      {Kind::kPodGroup,
       {"scheduling.x-k8s.io", "v1alpha1", "podgroups"},
       "scheduling.x-k8s.io/v1alpha1",
       "PodGroup",
       true,
       false},
      {Kind::kPodDisruptionBudget,
       {"policy", "v1", "poddisruptionbudgets"},
       "policy/v1",
       "PodDisruptionBudget",
       true,
       false},
      {Kind::kLease,
       {"coordination.k8s.io", "v1", "leases"},
       "coordination.k8s.io/v1",
       "Lease",
       true,
       true},
      {Kind::kModelService,
       {"berth.dev", "v1alpha1", "modelservices"},
       "berth.dev/v1alpha1",
       "ModelService",
       true,
       false},
      {Kind::kServingProfile,
       {"berth.dev", "v1alpha1", "servingprofiles"},
       "berth.dev/v1alpha1",
       "ServingProfile",
       false,
       false},
  };
  return kRows;
}

std::string_view group_of(std::string_view api_version) {
  const size_t slash = api_version.find('/');
  return slash == std::string_view::npos ? std::string_view() : api_version.substr(0, slash);
}

}  // namespace

const KindRow& row(Kind kind) {
  return rows()[static_cast<size_t>(kind)];
}

std::span<const KindRow> all_kinds() {
  return rows();
}

std::optional<Kind> kind_of(std::string_view api_version, std::string_view name) {
  for (const KindRow& candidate : rows()) {
    if (candidate.name == name && candidate.resource.group == group_of(api_version)) {
      return candidate.kind;
    }
  }
  return std::nullopt;
}

client::Target target(const Key& key, std::string subresource) {
  return {row(key.kind).resource, key.ns, key.name, std::move(subresource)};
}

std::string to_string(const Key& key) {
  std::string text(row(key.kind).name);
  text += ' ';
  if (!key.ns.empty()) text += key.ns + '/';
  return text + key.name;
}

}  // namespace berth::controllers
