#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "objects/json_path.h"
#include "objects/selector.h"
#include "objects/table/cells.h"

namespace berth::objects {
namespace {

Json template_members(const Json& object, std::string_view key) {
  std::vector<std::string_view> values;
  for (const Json& container : find_array(object, {"spec", "template", "spec", "containers"}))
    values.push_back(find_string(container, {key}));
  return Json(fmt::format("{}", fmt::join(values, ",")));
}

Json selector_text(const Json& object, Time) {
  const Json* selector = find(object, {"spec", "selector"});
  if (selector == nullptr) return "<none>";
  const auto parsed = LabelSelector::from_json(*selector);
  return parsed ? or_none(parsed->to_string()) : Json("<error>");
}

Json job_status(const Json& job, Time) {
  const auto has = [&job](std::string_view type) {
    return std::ranges::any_of(find_array(job, {"status", "conditions"}), [type](const Json& c) {
      return find_string(c, {"type"}) == type && find_string(c, {"status"}) == "True";
    });
  };
  if (has("Complete")) return "Complete";
  if (has("Failed")) return "Failed";
  if (!find_string(job, {"metadata", "deletionTimestamp"}).empty()) return "Terminating";
  for (const char* type : {"Suspended", "FailureTarget", "SuccessCriteriaMet"})
    if (has(type)) return type;
  return "Running";
}

Json job_completions(const Json& job, Time) {
  const int64_t succeeded = find_int(job, {"status", "succeeded"});
  if (find(job, {"spec", "completions"}) != nullptr)
    return Json(fmt::format("{}/{}", succeeded, find_int(job, {"spec", "completions"})));
  const int64_t parallelism = find_int(job, {"spec", "parallelism"});
  return Json(parallelism > 1 ? fmt::format("{}/1 of {}", succeeded, parallelism)
                              : fmt::format("{}/1", succeeded));
}

Json job_duration(const Json& job, Time now) {
  const auto start = parse_time(find_string(job, {"status", "startTime"}));
  if (!start) return "";
  const auto end = parse_time(find_string(job, {"status", "completionTime"}));
  return Json(format_age((end ? *end : now) - *start));
}

Json service_external_ip(const Json& service, Time) {
  const std::string_view type = find_string(service, {"spec", "type"});
  if (type == "ExternalName") return Json(find_string(service, {"spec", "externalName"}));
  std::vector<std::string_view> addresses;
  if (type == "LoadBalancer")
    for (const Json& ingress : find_array(service, {"status", "loadBalancer", "ingress"})) {
      const std::string_view ip = find_string(ingress, {"ip"});
      addresses.push_back(ip.empty() ? find_string(ingress, {"hostname"}) : ip);
    }
  for (const Json& ip : find_array(service, {"spec", "externalIPs"}))
    if (ip.is_string()) addresses.push_back(ip.get_string());
  if (addresses.empty()) return type == "LoadBalancer" ? "<pending>" : "<none>";
  return Json(fmt::format("{}", fmt::join(addresses, ",")));
}

Json service_ports(const Json& service, Time) {
  std::vector<std::string> ports;
  for (const Json& port : find_array(service, {"spec", "ports"})) {
    const std::string_view protocol = find_string(port, {"protocol"});
    const int64_t node_port = find_int(port, {"nodePort"});
    ports.push_back(node_port > 0
                        ? fmt::format("{}:{}/{}", find_int(port, {"port"}), node_port, protocol)
                        : fmt::format("{}/{}", find_int(port, {"port"}), protocol));
  }
  return or_none(fmt::format("{}", fmt::join(ports, ",")));
}

Json service_cluster_ip(const Json& service, Time) {
  return or_none(find_string(service, {"spec", "clusterIP"}));
}

Json label_map_selector(const Json& service, Time) {
  std::vector<std::string> pairs;
  for (const auto& [key, value] : find_object(service, {"spec", "selector"}))
    if (value.is_string())
      pairs.push_back(
          fmt::format("{}={}", std::string_view(key), std::string_view(value.get_string())));
  std::ranges::sort(pairs);
  return or_none(fmt::format("{}", fmt::join(pairs, ",")));
}

/// The first three, and how many more there are.
Json short_list(const std::vector<std::string>& items, std::string_view empty) {
  constexpr size_t kShown = 3;
  if (items.empty()) return Json(empty);
  const size_t shown = std::min(items.size(), kShown);
  std::string text = fmt::format(
      "{}", fmt::join(items.begin(), items.begin() + static_cast<ptrdiff_t>(shown), ","));
  if (items.size() > shown) text += fmt::format(" + {} more...", items.size() - shown);
  return Json(text);
}

Json slice_ports(const Json& slice, Time) {
  std::vector<std::string> ports;
  for (const Json& port : find_array(slice, {"ports"}))
    ports.push_back(find(port, {"port"}) != nullptr ? fmt::format("{}", find_int(port, {"port"}))
                                                    : std::string("*"));
  return short_list(ports, "<unset>");
}

Json slice_endpoints(const Json& slice, Time) {
  std::vector<std::string> addresses;
  for (const Json& endpoint : find_array(slice, {"endpoints"}))
    for (const Json& address : find_array(endpoint, {"addresses"}))
      if (address.is_string()) addresses.emplace_back(address.get_string());
  return short_list(addresses, "<unset>");
}

Json share_or_na(const Json& budget, std::string_view key) {
  const Json* value = find(budget, {"spec", key});
  return value == nullptr ? Json("N/A") : Json(text_at(budget, "spec." + std::string(key)));
}

/// `2/3`: ready, and wanted over all variants.
Json model_service_ready(const Json& service, Time) {
  return Json(fmt::format("{}/{}", find_int(service, {"status", "readyReplicas"}),
                          find_int(service, {"status", "replicas"})));
}

/// What keeps it from being as it should, or nothing.
Json model_service_message(const Json& service, Time) {
  for (const Json& condition : find_array(service, {"status", "conditions"}))
    if (find_string(condition, {"status"}) == "False")
      return Json(find_string(condition, {"message"}));
  return "";
}

}  // namespace

CellHook find_workload_cell(std::string_view name) {
  static const std::unordered_map<std::string_view, CellHook> kHooks = {
      {"deployment_ready",
       [](const Json& o, Time) -> Json {
         return Json(fmt::format("{}/{}", find_int(o, {"status", "readyReplicas"}),
                                 find_int(o, {"spec", "replicas"})));
       }},
      {"deployment_updated",
       [](const Json& o, Time) -> Json { return find_int(o, {"status", "updatedReplicas"}); }},
      {"deployment_available",
       [](const Json& o, Time) -> Json { return find_int(o, {"status", "availableReplicas"}); }},
      {"model_service_ready", model_service_ready},
      {"model_service_message", model_service_message},
      {"desired_replicas",
       [](const Json& o, Time) -> Json { return find_int(o, {"spec", "replicas"}); }},
      {"current_replicas",
       [](const Json& o, Time) -> Json { return find_int(o, {"status", "replicas"}); }},
      {"ready_replicas",
       [](const Json& o, Time) -> Json { return find_int(o, {"status", "readyReplicas"}); }},
      {"template_containers",
       [](const Json& o, Time) -> Json { return template_members(o, "name"); }},
      {"template_images", [](const Json& o, Time) -> Json { return template_members(o, "image"); }},
      {"selector", selector_text},
      {"job_status", job_status},
      {"job_completions", job_completions},
      {"job_duration", job_duration},
      {"service_external_ip", service_external_ip},
      {"service_ports", service_ports},
      {"service_cluster_ip", service_cluster_ip},
      {"label_map_selector", label_map_selector},
      {"slice_ports", slice_ports},
      {"slice_endpoints", slice_endpoints},
      {"budget_min_available",
       [](const Json& o, Time) -> Json { return share_or_na(o, "minAvailable"); }},
      {"budget_max_unavailable",
       [](const Json& o, Time) -> Json { return share_or_na(o, "maxUnavailable"); }},
      {"budget_allowed",
       [](const Json& o, Time) -> Json { return find_int(o, {"status", "disruptionsAllowed"}); }},
  };
  const auto at = kHooks.find(name);
  return at != kHooks.end() ? at->second : nullptr;
}

}  // namespace berth::objects
