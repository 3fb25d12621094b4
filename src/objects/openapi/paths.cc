#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

#include "objects/openapi/schemas.h"

namespace berth::objects {
namespace {

class PathWriter {
 public:
  PathWriter(const Kind& kind, OpenApiVersion version, JsonObject& paths)
      : kind_(kind), v3_(version == OpenApiVersion::kV3), schemas_(version), paths_(paths) {}

  void write() {
    const std::string root = kind_.group.empty()
                                 ? fmt::format("/api/{}", kind_.version)
                                 : fmt::format("/apis/{}/{}", kind_.group, kind_.version);
    const std::string collection =
        kind_.namespaced ? fmt::format("{}/namespaces/{{namespace}}/{}", root, kind_.plural)
                         : fmt::format("{}/{}", root, kind_.plural);
    if (kind_.namespaced && kind_.has_verb("list")) {
      JsonObject all;
      add(all, "get", "list", kind_.kind, "List");
      paths_[fmt::format("{}/{}", root, kind_.plural)] = std::move(all);
    }
    write_collection(collection);
    write_object(collection + "/{name}");
    for (const Subresource& sub : kind_.subresources)
      write_subresource(fmt::format("{}/{{name}}/{}", collection, sub.name), sub);
  }

 private:
  void write_collection(const std::string& path) {
    JsonObject item;
    if (kind_.has_verb("list")) add(item, "get", "list", kind_.kind, "List");
    if (kind_.has_verb("create")) add(item, "post", "post", kind_.kind);
    if (kind_.has_verb("deletecollection")) add(item, "delete", "deletecollection", kind_.kind);
    finish(path, std::move(item), {"namespace"});
  }

  void write_object(const std::string& path) {
    static constexpr std::array<std::array<std::string_view, 3>, 4> kVerbs = {
        {{"get", "get", "get"},
         {"update", "put", "put"},
         {"patch", "patch", "patch"},
         {"delete", "delete", "delete"}}};
    JsonObject item;
    for (const auto& [verb, method, action] : kVerbs)
      if (kind_.has_verb(verb)) add(item, method, action, kind_.kind);
    finish(path, std::move(item), {"name", "namespace"});
  }

  void write_subresource(const std::string& path, const Subresource& sub) {
    JsonObject item;
    group_ = sub.group;
    version_ = sub.version;
    for (std::string_view verb : sub.verbs) {
      if (verb == "create") add(item, "post", "post", sub.kind);
      if (verb == "get") add(item, "get", "get", sub.kind);
      if (verb == "update") add(item, "put", "put", sub.kind);
      if (verb == "patch") add(item, "patch", "patch", sub.kind);
    }
    finish(path, std::move(item), {"name", "namespace"});
  }

  JsonObject parameter(std::string_view name, std::string_view where, bool required) const {
    JsonObject result = {{"name", name}, {"in", where}};
    if (required) result["required"] = true;
    const std::string_view type = name == "force" || name == "watch" ? "boolean"
                                  : name == "limit"                  ? "integer"
                                                                     : "string";
    if (v3_) {
      result["schema"] = JsonObject{{"type", type}};
    } else {
      result["type"] = type;
    }
    return result;
  }

  void add(JsonObject& item, std::string_view method, std::string_view action,
           std::string_view kind, std::string_view suffix = {}) {
    JsonArray parameters;
    const bool writes = action == "post" || action == "put" || action == "patch";
    if (writes)
      for (std::string_view name : {"dryRun", "fieldManager", "fieldValidation"})
        parameters.push_back(parameter(name, "query", false));
    if (action == "patch") parameters.push_back(parameter("force", "query", false));
    if (action == "delete") parameters.push_back(parameter("dryRun", "query", false));
    if (action == "list")
      for (std::string_view name :
           {"labelSelector", "fieldSelector", "limit", "continue", "watch", "resourceVersion"})
        parameters.push_back(parameter(name, "query", false));
    JsonObject operation = {
        {"x-kubernetes-action", action},
        {"x-kubernetes-group-version-kind", group_version_kind(group_, version_, kind)},
        {"parameters", std::move(parameters)},
        {"responses", responses(suffix)}};
    if (action == "patch") add_patch_body(operation);
    item[method] = std::move(operation);
  }

  JsonObject responses(std::string_view suffix) const {
    const std::string name = openapi_name(kind_.schema->name) + std::string(suffix);
    JsonObject ok = {{"description", "OK"}};
    if (v3_) {
      ok["content"] =
          JsonObject{{"application/json", JsonObject{{"schema", schemas_.reference(name)}}}};
    } else {
      ok["schema"] = schemas_.reference(name);
    }
    return {{"200", std::move(ok)}};
  }

  void add_patch_body(JsonObject& operation) const {
    static constexpr std::array<std::string_view, 4> kTypes = {
        "application/apply-patch+yaml", "application/json-patch+json",
        "application/merge-patch+json", "application/strategic-merge-patch+json"};
    if (!v3_) {
      JsonArray consumes;
      for (std::string_view type : kTypes) consumes.emplace_back(type);
      operation["consumes"] = std::move(consumes);
      return;
    }
    JsonObject content;
    for (std::string_view type : kTypes)
      content[type] = JsonObject{{"schema", JsonObject{{"type", "object"}}}};
    operation["requestBody"] = JsonObject{{"content", std::move(content)}};
  }

  void finish(const std::string& path, JsonObject item,
              std::initializer_list<std::string_view> in) {
    if (item.empty()) return;
    JsonArray parameters;
    for (std::string_view name : in)
      if (name != "namespace" || kind_.namespaced)
        parameters.push_back(parameter(name, "path", true));
    if (!parameters.empty()) item["parameters"] = std::move(parameters);
    paths_[path] = std::move(item);
    group_ = kind_.group;
    version_ = kind_.version;
  }

  const Kind& kind_;
  bool v3_;
  OpenApiSchemas schemas_;
  JsonObject& paths_;
  std::string_view group_ = kind_.group, version_ = kind_.version;
};

}  // namespace

void add_openapi_paths(const Kind& kind, OpenApiVersion version, JsonObject& paths) {
  PathWriter(kind, version, paths).write();
}

}  // namespace berth::objects
