#include "apiserver/access/authorizer.h"

#include <algorithm>
#include <string_view>

namespace berth::apiserver {
namespace {

using objects::find_array;
using objects::find_string;

constexpr std::string_view kGroup = "rbac.authorization.k8s.io";

std::string resource(std::string_view plural) {
  return std::string(plural) + "." + std::string(kGroup);
}

bool contains(const JsonArray& list, std::string_view wanted) {
  return std::ranges::any_of(list, [&](const Json& entry) {
    const std::string_view text = find_string(entry, {});
    return text == "*" || text == wanted;
  });
}

bool has_path(const JsonArray& list, std::string_view path) {
  return std::ranges::any_of(list, [&](const Json& entry) {
    const std::string_view pattern = find_string(entry, {});
    if (pattern.ends_with('*')) return path.starts_with(pattern.substr(0, pattern.size() - 1));
    return pattern == path;
  });
}

bool rule_allows(const Json& rule, const Attempt& attempt) {
  if (!contains(find_array(rule, {"verbs"}), attempt.verb)) return false;
  if (!attempt.path.empty()) return has_path(find_array(rule, {"nonResourceURLs"}), attempt.path);
  if (!contains(find_array(rule, {"apiGroups"}), attempt.group)) return false;
  const std::string full =
      attempt.subresource.empty() ? attempt.resource : attempt.resource + "/" + attempt.subresource;
  const JsonArray& resources = find_array(rule, {"resources"});
  if (!contains(resources, full) &&
      (attempt.subresource.empty() || !contains(resources, "*/" + attempt.subresource))) {
    return false;
  }
  const JsonArray& names = find_array(rule, {"resourceNames"});
  return names.empty() || contains(names, attempt.name);
}

bool is_subject(const Json& subject, const Caller& caller) {
  const std::string_view kind = find_string(subject, {"kind"});
  const std::string_view name = find_string(subject, {"name"});
  if (kind == "User") return name == caller.user;
  if (kind == "Group") return std::ranges::find(caller.groups, name) != caller.groups.end();
  if (kind == "ServiceAccount") {
    return caller.user ==
           "system:serviceaccount:" + std::string(find_string(subject, {"namespace"})) + ":" +
               std::string(name);
  }
  return false;
}

Json rule(std::initializer_list<std::string_view> groups,
          std::initializer_list<std::string_view> resources,
          std::initializer_list<std::string_view> verbs) {
  const auto list = [](std::initializer_list<std::string_view> words) {
    JsonArray array;
    for (const std::string_view word : words) array.emplace_back(word);
    return array;
  };
  return JsonObject{
      {"apiGroups", list(groups)}, {"resources", list(resources)}, {"verbs", list(verbs)}};
}

std::pair<StoreKey, Json> cluster_role(std::string_view name, JsonArray rules) {
  return {{resource("clusterroles"), "", std::string(name)},
          JsonObject{{"apiVersion", "rbac.authorization.k8s.io/v1"},
                     {"kind", "ClusterRole"},
                     {"metadata", JsonObject{{"name", name}}},
                     {"rules", std::move(rules)}}};
}

}  // namespace

bool Authorizer::binding_allows(const Json& binding, const std::string& ns, const Caller& caller,
                                const Attempt& attempt) const {
  const JsonArray& subjects = find_array(binding, {"subjects"});
  if (std::ranges::none_of(subjects, [&](const Json& s) { return is_subject(s, caller); })) {
    return false;
  }
  const bool cluster_role = find_string(binding, {"roleRef", "kind"}) == "ClusterRole";
  const StoredPtr role =
      store_.get({resource(cluster_role ? "clusterroles" : "roles"), cluster_role ? "" : ns,
                  std::string(find_string(binding, {"roleRef", "name"}))});
  if (!role) return false;
  const SharedJson tree = role->tree();
  return std::ranges::any_of(find_array(*tree, {"rules"}),
                             [&](const Json& entry) { return rule_allows(entry, attempt); });
}

bool Authorizer::allows(const Caller& caller, const Attempt& attempt) const {
  if (caller.admin) return true;
  const auto any = [&](std::string_view plural, const std::string& ns) {
    Store::ListQuery query;
    query.resource = resource(plural);
    query.ns = ns;
    const auto bindings = store_.list(query);
    return bindings && std::ranges::any_of(bindings->items, [&](const Store::Item& item) {
             return binding_allows(*item.object->tree(), ns, caller, attempt);
           });
  };
  return any("clusterrolebindings", "") || (!attempt.ns.empty() && any("rolebindings", attempt.ns));
}

std::vector<std::pair<StoreKey, Json>> Authorizer::initial_objects() {
  std::vector<std::pair<StoreKey, Json>> initial;
  initial.push_back(cluster_role("cluster-admin", {rule({"*"}, {"*"}, {"*"})}));
  // What the owner of a namespace may do in it: all but raise quotas or hand out more rights.
  initial.push_back(cluster_role(
      "edit", {rule({"", "apps", "batch", "events.k8s.io", "policy", "discovery.k8s.io",
                     "coordination.k8s.io", "scheduling.x-k8s.io", "berth.dev", "metrics.k8s.io"},
                    {"pods",
                     "pods/log",
                     "pods/eviction",
                     "pods/resize",
                     "pods/exec",
                     "pods/attach",
                     "pods/portforward",
                     "services",
                     "configmaps",
                     "secrets",
                     "serviceaccounts",
                     "deployments",
                     "deployments/scale",
                     "replicasets",
                     "replicasets/scale",
                     "jobs",
                     "poddisruptionbudgets",
                     "podgroups",
                     "leases",
                     "modelservices",
                     "modelservices/scale"},
                    {"*"}),
               rule({"", "events.k8s.io", "discovery.k8s.io", "metrics.k8s.io"},
                    {"events", "endpointslices", "resourcequotas", "namespaces", "pods"},
                    {"get", "list", "watch"})}));
  initial.push_back(cluster_role(
      "view",
      {rule({"", "apps", "batch", "events.k8s.io", "policy", "discovery.k8s.io",
             "scheduling.x-k8s.io", "berth.dev", "metrics.k8s.io"},
            {"pods", "pods/log", "services", "configmaps", "deployments", "deployments/scale",
             "replicasets", "jobs", "poddisruptionbudgets", "podgroups", "events", "endpointslices",
             "resourcequotas", "namespaces", "modelservices"},
            {"get", "list", "watch"})}));
  // What `berth gateway` needs: models, servers, keys, and to tell of demand and of tokens.
  JsonArray gateway{rule({"", "discovery.k8s.io"}, {"services", "endpointslices", "secrets"},
                         {"get", "list", "watch"})};
  gateway.push_back(rule({""}, {"configmaps"}, {"get", "create", "patch"}));
  gateway.emplace_back(JsonObject{{"nonResourceURLs", JsonArray{"/berth/v1/demand"}},
                                  {"verbs", JsonArray{"create"}}});
  initial.push_back(cluster_role("gateway", std::move(gateway)));
  JsonArray basic{rule({"", "scheduling.k8s.io", "berth.dev", "metrics.k8s.io"},
                       {"nodes", "priorityclasses", "queues", "servingprofiles"},
                       {"get", "list", "watch"})};
  basic.emplace_back(
      JsonObject{{"nonResourceURLs", JsonArray{"/api", "/api/*", "/apis", "/apis/*", "/openapi/*",
                                               "/version", "/healthz", "/livez", "/readyz"}},
                 {"verbs", JsonArray{"get"}}});
  initial.push_back(cluster_role("system:basic-user", std::move(basic)));
  initial.emplace_back(
      StoreKey{resource("clusterrolebindings"), "", "system:basic-user"},
      JsonObject{{"apiVersion", "rbac.authorization.k8s.io/v1"},
                 {"kind", "ClusterRoleBinding"},
                 {"metadata", JsonObject{{"name", "system:basic-user"}}},
                 {"roleRef", JsonObject{{"apiGroup", kGroup},
                                        {"kind", "ClusterRole"},
                                        {"name", "system:basic-user"}}},
                 {"subjects", JsonArray{JsonObject{{"apiGroup", kGroup},
                                                   {"kind", "Group"},
                                                   {"name", "system:authenticated"}}}}});
  return initial;
}

}  // namespace berth::apiserver
