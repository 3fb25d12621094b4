#include "objects/table.h"

#include <string>
#include <unordered_map>

#include "objects/json_path.h"
#include "objects/json_text.h"
#include "objects/table/cells.h"

namespace berth::objects {
namespace {

Json scalar_cell(const Json* value) {
  if (value == nullptr || value->is_null()) return "";
  if (value->is_object() || value->is_array()) return Json(canonical_json(*value));
  return *value;
}

Json cell(const Column& column, const Json& object, Time now) {
  if (!column.hook.empty()) {
    const CellHook hook = find_cell_hook(column.hook);
    return hook != nullptr ? hook(object, now) : Json("");
  }
  const Json* value = at_path(object, column.path);
  if (column.type == "date")
    return age_cell(value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                           : std::string_view(),
                    now);
  return scalar_cell(value);
}

JsonArray column_definitions(const Kind& kind) {
  JsonArray definitions;
  for (const Column& column : kind.columns)
    definitions.push_back({{"name", column.name},
                           {"type", column.type},
                           {"format", column.path == ".metadata.name" ? "name" : ""},
                           {"description", column.description},
                           {"priority", column.priority}});
  return definitions;
}

}  // namespace

Json make_table_row(const Kind& kind, const Json& object, Time now, IncludeObject include) {
  JsonArray cells;
  cells.reserve(kind.columns.size());
  for (const Column& column : kind.columns) cells.push_back(cell(column, object, now));
  JsonObject row;
  row["cells"] = std::move(cells);
  if (include == IncludeObject::kObject) {
    row["object"] = object;
  } else if (include == IncludeObject::kMetadata) {
    row["object"] = {{"kind", "PartialObjectMetadata"},
                     {"apiVersion", "meta.k8s.io/v1"},
                     {"metadata", find_object(object, {"metadata"})}};
  } else {
    row["object"] = nullptr;
  }
  return row;
}

Json make_table(const Kind& kind, const std::vector<SharedJson>& objects, Json metadata, Time now,
                IncludeObject include, bool with_columns) {
  JsonArray rows;
  rows.reserve(objects.size());
  for (const SharedJson& object : objects)
    rows.push_back(make_table_row(kind, *object, now, include));
  JsonObject table;
  table["kind"] = "Table";
  table["apiVersion"] = "meta.k8s.io/v1";
  table["metadata"] = std::move(metadata);
  table["columnDefinitions"] = with_columns ? column_definitions(kind) : JsonArray();
  table["rows"] = std::move(rows);
  return table;
}

CellHook find_cell_hook(std::string_view name) {
  for (const auto find : {find_pod_cell, find_workload_cell, find_cluster_cell})
    if (const CellHook hook = find(name)) return hook;
  return nullptr;
}

Json age_cell(std::string_view text, Time now) {
  if (text.empty()) return "<unknown>";
  const auto time = parse_time(text);
  return time ? Json(format_age(now - *time)) : Json("<invalid>");
}

Json or_none(std::string_view text) {
  return text.empty() ? "<none>" : Json(text);
}

}  // namespace berth::objects
