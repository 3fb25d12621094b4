#include "objects/discovery.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace berth::objects {
namespace {

JsonArray to_array(const std::vector<std::string_view>& texts) {
  JsonArray array;
  for (std::string_view text : texts) array.emplace_back(text);
  return array;
}

struct GroupVersion {
  std::string_view group, version;
  bool operator==(const GroupVersion&) const = default;
  std::string to_string() const {
    return group.empty() ? std::string(version) : fmt::format("{}/{}", group, version);
  }
};

/// Those that have something to serve, in the order of their first kind.
std::vector<GroupVersion> group_versions(const Registry& registry) {
  std::vector<GroupVersion> found;
  for (const Kind* kind : registry.kinds()) {
    const GroupVersion gv{kind->group, kind->version};
    if (!kind->plural.empty() && std::ranges::find(found, gv) == found.end()) found.push_back(gv);
  }
  return found;
}

std::vector<std::string_view> groups(const Registry& registry) {
  std::vector<std::string_view> found;
  for (const GroupVersion& gv : group_versions(registry))
    if (!gv.group.empty() && std::ranges::find(found, gv.group) == found.end())
      found.push_back(gv.group);
  return found;
}

JsonArray versions_of(const Registry& registry, std::string_view group) {
  JsonArray versions;
  for (const GroupVersion& gv : group_versions(registry))
    if (gv.group == group)
      versions.push_back({{"groupVersion", gv.to_string()}, {"version", gv.version}});
  return versions;
}

JsonObject group_body(const Registry& registry, std::string_view group) {
  const JsonArray versions = versions_of(registry, group);
  return {{"name", group}, {"versions", versions}, {"preferredVersion", versions.front()}};
}

JsonObject resource_entry(const Kind& kind) {
  JsonObject entry = {{"name", kind.plural},
                      {"singularName", kind.singular},
                      {"namespaced", kind.namespaced},
                      {"kind", kind.kind},
                      {"verbs", to_array(kind.verbs)}};
  if (!kind.short_names.empty()) entry["shortNames"] = to_array(kind.short_names);
  if (!kind.categories.empty()) entry["categories"] = to_array(kind.categories);
  return entry;
}

JsonObject subresource_entry(const Kind& kind, const Subresource& sub) {
  JsonObject entry = {{"name", fmt::format("{}/{}", kind.plural, sub.name)},
                      {"singularName", ""},
                      {"namespaced", kind.namespaced},
                      {"kind", sub.kind},
                      {"verbs", to_array(sub.verbs)}};
  if (sub.group != kind.group || sub.version != kind.version) {
    entry["group"] = sub.group;
    entry["version"] = sub.version;
  }
  return entry;
}

JsonObject response_kind(std::string_view group, std::string_view version, std::string_view kind) {
  return {{"group", group}, {"version", version}, {"kind", kind}};
}

JsonObject discovery_resource(const Kind& kind) {
  JsonObject resource = {{"resource", kind.plural},
                         {"responseKind", response_kind(kind.group, kind.version, kind.kind)},
                         {"scope", kind.namespaced ? "Namespaced" : "Cluster"},
                         {"singularResource", kind.singular},
                         {"verbs", to_array(kind.verbs)}};
  if (!kind.short_names.empty()) resource["shortNames"] = to_array(kind.short_names);
  if (!kind.categories.empty()) resource["categories"] = to_array(kind.categories);
  JsonArray subresources;
  for (const Subresource& sub : kind.subresources)
    subresources.push_back({{"subresource", sub.name},
                            {"responseKind", response_kind(sub.group, sub.version, sub.kind)},
                            {"verbs", to_array(sub.verbs)}});
  if (!subresources.empty()) resource["subresources"] = std::move(subresources);
  return resource;
}

}  // namespace

Json api_versions(std::string_view address) {
  const JsonArray addresses = {JsonObject{{"clientCIDR", "0.0.0.0/0"}, {"serverAddress", address}}};
  return {{"kind", "APIVersions"},
          {"versions", JsonArray{"v1"}},
          {"serverAddressByClientCIDRs", addresses}};
}

Json api_group_list(const Registry& registry) {
  JsonArray list;
  for (std::string_view group : groups(registry)) list.push_back(group_body(registry, group));
  return {{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", std::move(list)}};
}

Result<Json> api_group(const Registry& registry, std::string_view group) {
  if (group.empty() || versions_of(registry, group).empty())
    return fail(ErrorCode::kNotFound, fmt::format("there is no API group `{}`", group));
  JsonObject body = group_body(registry, group);
  body["kind"] = "APIGroup";
  body["apiVersion"] = "v1";
  return body;
}

Result<Json> api_resource_list(const Registry& registry, std::string_view group,
                               std::string_view version) {
  JsonArray resources;
  for (const Kind* kind : registry.kinds()) {
    if (kind->plural.empty() || kind->group != group || kind->version != version) continue;
    resources.push_back(resource_entry(*kind));
    for (const Subresource& sub : kind->subresources)
      resources.push_back(subresource_entry(*kind, sub));
  }
  const std::string name = GroupVersion{group, version}.to_string();
  if (resources.empty())
    return fail(ErrorCode::kNotFound, fmt::format("there is no API `{}`", name));
  return Json{{"kind", "APIResourceList"},
              {"apiVersion", "v1"},
              {"groupVersion", name},
              {"resources", std::move(resources)}};
}

Json api_group_discovery_list(const Registry& registry, bool core) {
  std::vector<std::string_view> names = groups(registry);
  if (core) names = {""};
  JsonArray items;
  for (std::string_view group : names) {
    JsonArray versions;
    for (const GroupVersion& gv : group_versions(registry)) {
      if (gv.group != group) continue;
      JsonArray resources;
      for (const Kind* kind : registry.kinds())
        if (!kind->plural.empty() && GroupVersion{kind->group, kind->version} == gv)
          resources.push_back(discovery_resource(*kind));
      versions.push_back(
          {{"version", gv.version}, {"resources", std::move(resources)}, {"freshness", "Current"}});
    }
    JsonObject metadata;
    if (!group.empty()) metadata["name"] = group;
    metadata["creationTimestamp"] = nullptr;
    items.push_back({{"metadata", std::move(metadata)}, {"versions", std::move(versions)}});
  }
  return {{"kind", "APIGroupDiscoveryList"},
          {"apiVersion", "apidiscovery.k8s.io/v2"},
          {"metadata", JsonObject()},
          {"items", std::move(items)}};
}

}  // namespace berth::objects
