#include <algorithm>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "objects/table/cells.h"

namespace berth::objects {
namespace {

Json node_status(const Json& node, Time) {
  std::string text = "Unknown";
  for (const Json& condition : find_array(node, {"status", "conditions"}))
    if (find_string(condition, {"type"}) == "Ready")
      text = find_string(condition, {"status"}) == "True" ? "Ready" : "NotReady";
  if (find_bool(node, {"spec", "unschedulable"})) text += ",SchedulingDisabled";
  return Json(text);
}

Json node_roles(const Json& node, Time) {
  constexpr std::string_view kPrefix = "node-role.kubernetes.io/";
  std::set<std::string_view> roles;
  for (const auto& [key, value] : find_object(node, {"metadata", "labels"})) {
    const std::string_view label = key;
    if (label.starts_with(kPrefix) && label.size() > kPrefix.size())
      roles.insert(label.substr(kPrefix.size()));
    if (label == "kubernetes.io/role" && value.is_string() && !value.get_string().empty())
      roles.insert(value.get_string());
  }
  return or_none(fmt::format("{}", fmt::join(roles, ",")));
}

Json node_address(const Json& node, std::string_view type) {
  for (const Json& address : find_array(node, {"status", "addresses"}))
    if (find_string(address, {"type"}) == type) return Json(find_string(address, {"address"}));
  return "<none>";
}

Json node_fact(const Json& node, std::string_view key) {
  const std::string_view text = find_string(node, {"status", "nodeInfo", key});
  return text.empty() ? Json("<unknown>") : Json(text);
}

Json node_kernel(const Json& node, Time) {
  const Json version = node_fact(node, "kernelVersion");
  const std::string_view arch = find_string(node, {"status", "nodeInfo", "architecture"});
  if (arch.empty()) return version;
  return Json(fmt::format("{} ({})", std::string_view(version.get_string()), arch));
}

/// Both kinds of Event, in the words of either.
const Json* event_subject(const Json& event) {
  const Json* subject = find(event, {"involvedObject"});
  return subject != nullptr ? subject : find(event, {"regarding"});
}

std::string_view either(const Json& event, std::string_view core, std::string_view modern) {
  const std::string_view text = find_string(event, {core});
  return text.empty() ? find_string(event, {modern}) : text;
}

Json event_first_seen(const Json& event, Time now) {
  const std::string_view first = either(event, "firstTimestamp", "deprecatedFirstTimestamp");
  return age_cell(first.empty() ? find_string(event, {"eventTime"}) : first, now);
}

Json event_last_seen(const Json& event, Time now) {
  if (const auto last = find_string(event, {"series", "lastObservedTime"}); !last.empty())
    return age_cell(last, now);
  const std::string_view last = either(event, "lastTimestamp", "deprecatedLastTimestamp");
  return last.empty() ? event_first_seen(event, now) : age_cell(last, now);
}

Json event_count(const Json& event, Time) {
  if (const int64_t count = find_int(event, {"series", "count"}); count > 0) return count;
  return std::max<int64_t>(1, find_int(event, {"count"}, find_int(event, {"deprecatedCount"})));
}

Json event_object(const Json& event, Time) {
  const Json* subject = event_subject(event);
  if (subject == nullptr) return "";
  std::string text(find_string(*subject, {"kind"}));
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (const auto name = find_string(*subject, {"name"}); !name.empty())
    text.append("/").append(name);
  return Json(text);
}

Json event_source(const Json& event, Time) {
  std::string_view component = find_string(event, {"source", "component"});
  if (component.empty()) component = either(event, "reportingComponent", "reportingController");
  std::string_view host = find_string(event, {"source", "host"});
  if (host.empty()) host = find_string(event, {"reportingInstance"});
  return host.empty() ? Json(component) : Json(fmt::format("{}, {}", component, host));
}

/// "cpu: 1/4, memory: 2Gi/8Gi" of the resources that are, or are not, limits.
Json quota_text(const Json& quota, bool limits) {
  std::vector<std::string> parts;
  for (const auto& [key, hard] : find_object(quota, {"status", "hard"})) {
    const std::string_view name = key;
    if (name.starts_with("limits.") != limits || !hard.is_string()) continue;
    parts.push_back(fmt::format("{}: {}/{}", name,
                                find_string(quota, {"status", "used", name}, "0"),
                                std::string_view(hard.get_string())));
  }
  std::ranges::sort(parts);
  return Json(fmt::format("{}", fmt::join(parts, ", ")));
}

Json resources_text(const JsonObject& resources) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : resources)
    if (value.is_string())
      parts.push_back(
          fmt::format("{}: {}", std::string_view(key), std::string_view(value.get_string())));
  std::ranges::sort(parts);
  return or_none(fmt::format("{}", fmt::join(parts, ", ")));
}

Json role_ref(const Json& binding, Time) {
  return Json(fmt::format("{}/{}", find_string(binding, {"roleRef", "kind"}),
                          find_string(binding, {"roleRef", "name"})));
}

Json subjects(const Json& binding, std::string_view kind) {
  std::vector<std::string> names;
  for (const Json& subject : find_array(binding, {"subjects"})) {
    if (find_string(subject, {"kind"}) != kind) continue;
    const std::string_view name = find_string(subject, {"name"});
    const std::string_view ns = find_string(subject, {"namespace"});
    names.push_back(kind == "ServiceAccount" ? fmt::format("{}/{}", ns, name) : std::string(name));
  }
  return Json(fmt::format("{}", fmt::join(names, ", ")));
}

int64_t size_of(const Json& object, std::string_view key) {
  return static_cast<int64_t>(find_object(object, {key}).size());
}

}  // namespace

CellHook find_cluster_cell(std::string_view name) {
  static const std::unordered_map<std::string_view, CellHook> kHooks = {
      {"node_status", node_status},
      {"node_roles", node_roles},
      {"node_internal_ip",
       [](const Json& o, Time) -> Json { return node_address(o, "InternalIP"); }},
      {"node_external_ip",
       [](const Json& o, Time) -> Json { return node_address(o, "ExternalIP"); }},
      {"node_os_image", [](const Json& o, Time) -> Json { return node_fact(o, "osImage"); }},
      {"node_kernel_version", node_kernel},
      {"node_runtime",
       [](const Json& o, Time) -> Json { return node_fact(o, "containerRuntimeVersion"); }},
      {"event_first_seen", event_first_seen},
      {"event_last_seen", event_last_seen},
      {"event_count", event_count},
      {"event_object", event_object},
      {"event_source", event_source},
      {"config_map_entries",
       [](const Json& o, Time) -> Json { return size_of(o, "data") + size_of(o, "binaryData"); }},
      {"secret_entries", [](const Json& o, Time) -> Json { return size_of(o, "data"); }},
      {"global_default",
       [](const Json& o, Time) -> Json { return find_bool(o, {"globalDefault"}); }},
      {"quota_requests", [](const Json& o, Time) -> Json { return quota_text(o, false); }},
      {"quota_limits", [](const Json& o, Time) -> Json { return quota_text(o, true); }},
      {"role_ref", role_ref},
      {"subject_users", [](const Json& o, Time) -> Json { return subjects(o, "User"); }},
      {"subject_groups", [](const Json& o, Time) -> Json { return subjects(o, "Group"); }},
      {"subject_service_accounts",
       [](const Json& o, Time) -> Json { return subjects(o, "ServiceAccount"); }},
      {"queue_guaranteed",
       [](const Json& o, Time) -> Json {
         return resources_text(find_object(o, {"spec", "guaranteed"}));
       }},
      {"queue_limit",
       [](const Json& o, Time) -> Json {
         return resources_text(find_object(o, {"spec", "limit"}));
       }},
      {"queue_allocated",
       [](const Json& o, Time) -> Json {
         return resources_text(find_object(o, {"status", "allocated"}));
       }},
  };
  const auto at = kHooks.find(name);
  return at != kHooks.end() ? at->second : nullptr;
}

}  // namespace berth::objects
