#include "apiserver/api/selection.h"

#include <array>
#include <utility>

#include "objects/json_text.h"

namespace berth::apiserver {
namespace {

/// The fields of an event that have another name in the newer version, old name first.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kEventFields = {{
    {"involvedObject", "regarding"},
    {"message", "note"},
    {"source", "deprecatedSource"},
    {"firstTimestamp", "deprecatedFirstTimestamp"},
    {"lastTimestamp", "deprecatedLastTimestamp"},
    {"count", "deprecatedCount"},
    {"reportingComponent", "reportingController"},
}};

bool is_new_event(const objects::Kind& kind) {
  return kind.group == "events.k8s.io";
}

void rename(JsonObject& object, std::string_view from, std::string_view to) {
  Json* value = object.if_contains(from);
  if (value == nullptr) return;
  Json moved = std::move(*value);
  object.erase(from);
  object[to] = std::move(moved);
}

}  // namespace

Answer<Selection> Selection::parse(const objects::Kind& kind, const std::string& labels,
                                   const std::string& fields) {
  Selection selection;
  if (!labels.empty()) {
    auto parsed = objects::LabelSelector::parse(labels);
    if (!parsed) return bad_request("unable to parse labelSelector: " + parsed.error().to_string());
    selection.labels_ = *std::move(parsed);
  }
  if (!fields.empty()) {
    auto parsed = objects::FieldSelector::parse(kind, fields);
    if (!parsed) return bad_request(parsed.error().to_string());
    selection.fields_ = *std::move(parsed);
  }
  return selection;
}

bool Selection::matches(const Stored& object) const {
  if (everything()) return true;
  const SharedJson tree = object.tree();
  return labels_.matches_object(*tree) && fields_.matches(*tree);
}

StoredPtr shown_as(const objects::Kind& kind, const StoredPtr& stored) {
  if (!is_new_event(kind)) return stored;
  Json object = *stored->tree();
  JsonObject& fields = object.as_object();
  for (const auto& [old_name, new_name] : kEventFields) rename(fields, old_name, new_name);
  fields["apiVersion"] = kind.api_version();
  if (!fields.contains("eventTime")) fields["eventTime"] = nullptr;
  std::string bytes = objects::canonical_json(object);
  return std::make_shared<const Stored>(std::move(bytes), stored->revision());
}

Json stored_form(const objects::Kind& kind, Json object) {
  if (!is_new_event(kind)) return object;
  JsonObject& fields = object.as_object();
  for (const auto& [old_name, new_name] : kEventFields) rename(fields, new_name, old_name);
  fields["apiVersion"] = "v1";
  return object;
}

}  // namespace berth::apiserver
