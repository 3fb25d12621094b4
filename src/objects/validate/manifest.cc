#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "objects/validate/issues.h"

namespace berth::objects {
namespace {

Error at(const YamlDocument& document, std::string_view file, const Issue& issue) {
  const Position place = document.positions.find(issue.path);
  return Error{
      ErrorCode::kInvalid,
      issue.path.empty() ? issue.what : fmt::format("{}: {}", issue.path, issue.what),
      place.line == 0 ? std::string(file) : fmt::format("{}:{}:{}", file, place.line, place.column),
      issue.fix};
}

std::string api_versions_of(const Registry& registry, std::string_view kind_name) {
  std::set<std::string> versions;
  for (const Kind* kind : registry.kinds())
    if (kind->kind == kind_name) versions.insert(kind->api_version());
  std::string text;
  for (const std::string& version : versions)
    text += (text.empty() ? "" : " or ") + fmt::format("`apiVersion: {}`", version);
  return text;
}

Issue unknown_kind(const Registry& registry, std::string_view api_version, std::string_view kind) {
  if (const std::string versions = api_versions_of(registry, kind); !versions.empty())
    return {Issue::Kind::kInvalid, "apiVersion",
            fmt::format("there is no {} in `{}`", kind, api_version), "use " + versions};
  std::vector<std::string_view> names;
  for (const Kind* known : registry.kinds())
    if (!known->plural.empty()) names.push_back(known->kind);
  std::string_view meant = closest(kind, names);
  if (const Kind* alias = registry.find_alias(kind); alias != nullptr && meant.empty())
    meant = alias->kind;
  return {Issue::Kind::kInvalid, "kind", fmt::format("there is no kind `{}`", kind),
          meant.empty() ? "see `berth get --help`" : fmt::format("did you mean `{}`?", meant)};
}

Issue missing(const JsonObject& object, std::string_view key, std::string_view example) {
  // A misspelt key is named, instead of saying that the right one is missing.
  for (const auto& [other, value] : object) {
    static constexpr std::string_view kBoth[] = {"apiVersion", "kind"};
    if (std::string_view(other) != "kind" && std::string_view(other) != "apiVersion" &&
        closest(other, kBoth) == key)
      return {Issue::Kind::kUnknownField, std::string(other),
              fmt::format("unknown field `{}`", std::string_view(other)),
              fmt::format("did you mean `{}`?", key)};
  }
  return {Issue::Kind::kRequired, std::string(key), "must be set",
          fmt::format("for example `{}: {}`", key, example)};
}

}  // namespace

std::vector<Error> check_manifest(const Registry& registry, const YamlDocument& document,
                                  std::string_view file) {
  Issues issues;
  for (const DuplicateKey& duplicate : document.duplicates)
    issues.push_back({Issue::Kind::kDuplicateField, duplicate.path,
                      "the field is set twice: the last one counts", "remove one of them"});
  const JsonObject* object = document.value.if_object();
  const std::string_view api_version = api_version_of(document.value);
  const std::string_view kind_name = kind_of(document.value);
  const Kind* kind = registry.find_kind(api_version, kind_name);
  if (object == nullptr) {
    issues.push_back({Issue::Kind::kWrongType, "", "a manifest must be a map",
                      "start it with `apiVersion:` and `kind:`"});
  } else if (kind != nullptr) {
    Issues found = check_all(*kind, document.value);
    std::ranges::move(found, std::back_inserter(issues));
  } else if (!api_version.empty() && !kind_name.empty()) {
    issues.push_back(unknown_kind(registry, api_version, kind_name));
  } else {
    if (api_version.empty()) {
      const std::string versions = api_versions_of(registry, kind_name);
      issues.push_back(missing(*object, "apiVersion", "v1"));
      if (!versions.empty() && issues.back().kind == Issue::Kind::kRequired)
        issues.back().fix = "use " + versions;
    }
    if (kind_name.empty()) issues.push_back(missing(*object, "kind", "Pod"));
  }

  // In the order of the file.
  std::ranges::stable_sort(issues, [&](const Issue& a, const Issue& b) {
    const Position x = document.positions.find(a.path), y = document.positions.find(b.path);
    return std::pair(x.line, x.column) < std::pair(y.line, y.column);
  });
  std::vector<Error> errors;
  for (const Issue& issue : issues) errors.push_back(at(document, file, issue));
  return errors;
}

}  // namespace berth::objects
