#include "bridge/cost/holdings.h"

#include <algorithm>
#include <map>

#include <boost/json/parse.hpp>

#include "base/quantity.h"
#include "bridge/keys.h"
#include "bridge/object_events.h"
#include "bridge/pod_task.h"

namespace berth::bridge {
namespace {

using objects::find_array;
using objects::find_int;
using objects::find_object;
using objects::find_string;

constexpr int64_t kGiB = int64_t{1} << 30;

int64_t milli_gib(int64_t bytes) {
  return static_cast<int64_t>(static_cast<core::Wide>(bytes) * 1000 / kGiB);
}

/// By resource, in thousandths.
std::map<std::string, int64_t> amounts_at(const Json& node, std::string_view list) {
  std::map<std::string, int64_t> amounts;
  for (const auto& [name, json] : find_object(node, {"status", list})) {
    if (name == "pods") continue;
    const auto quantity = json.is_string() ? Quantity::parse(json.get_string())
                          : json.is_int64()
                              ? Result<Quantity>(Quantity::from_units(json.get_int64()))
                              : fail(ErrorCode::kInvalid, "not a quantity");
    if (!quantity) continue;
    const bool bytes = name == "memory" || name == "ephemeral-storage";
    amounts[std::string(name)] = bytes ? milli_gib(quantity->units()) : quantity->milli();
  }
  return amounts;
}

std::string device(const std::string& resource, const std::string& model) {
  return model.empty() ? resource : resource + "@" + model;
}

/// How many of a resource's devices are of which model. Empty: it does not say.
std::map<std::string, int64_t> models_of(const core::NodeUpsert& node,
                                         const std::string& resource) {
  std::map<std::string, int64_t> models;
  for (const core::DeviceSpec& spec : node.devices)
    if (spec.resource == resource && !spec.model.empty()) ++models[spec.model];
  for (const core::CountedSpec& spec : node.counted)
    if (spec.resource == resource && !spec.model.empty()) models[spec.model] += spec.capacity;
  return models;
}

core::PricedAmounts by_model(const std::map<std::string, int64_t>& amounts, const Json& json) {
  const core::NodeUpsert node = read_node(json);
  core::PricedAmounts result;
  for (const auto& [resource, milli] : amounts) {
    int64_t left = milli;
    const std::map<std::string, int64_t> models = models_of(node, resource);
    for (const auto& [model, count] : models) {
      // What is left over, such as devices that are away, counts as the last model.
      const bool last = model == models.rbegin()->first;
      const int64_t part = last ? left : std::min(left, count * 1000);
      if (part > 0) result[device(resource, model)] += part;
      left -= part;
    }
    if (left > 0) result[resource] += left;
  }
  return result;
}

/// The pod's shape, ended or not.
core::ShapeSpec shape_of(Json pod) {
  objects::ensure_object(pod, {"status"})["phase"] = "Running";
  PodContext context;
  context.managed = [](const Json&) { return true; };
  context.priority = [](std::string_view) { return 0; };
  context.queue_of_namespace = [](std::string_view) { return std::string(); };
  PodTask read = read_pod(pod, context);
  return read.task ? std::move(read.task->shape) : core::ShapeSpec{};
}

/// The devices that were written with its binding. False: there are none.
bool add_given(const Json& pod, const core::NodeUpsert& node, const std::string& resource,
               core::PricedAmounts& holds) {
  const std::string_view text = find_string(pod, {"metadata", "annotations", kDevices});
  if (text.empty()) return false;
  boost::system::error_code error;
  const Json given = boost::json::parse(text, error);
  if (error) return false;
  bool any = false;
  for (const Json& share : find_array(given, {resource})) {
    const std::string_view id = find_string(share, {"id"});
    const auto spec = std::find_if(node.devices.begin(), node.devices.end(),
                                   [&](const auto& each) { return each.id == id; });
    int64_t milli = find_int(share, {"milli"});
    // Of a share, the larger of its part of the time and of the memory.
    if (spec != node.devices.end() && spec->memory_bytes > 0)
      milli = std::max(
          milli, static_cast<int64_t>(static_cast<core::Wide>(find_int(share, {"memoryBytes"})) *
                                      1000 / spec->memory_bytes));
    holds[device(resource, spec == node.devices.end() ? "" : spec->model)] +=
        std::min<int64_t>(milli, 1000);
    any = true;
  }
  return any;
}

std::optional<Time> time_at(const Json& object, std::initializer_list<std::string_view> path) {
  const auto time = parse_time(find_string(object, path));
  return time ? std::optional(*time) : std::nullopt;
}

}  // namespace

core::PricedAmounts node_capacity(const Json& node) {
  core::PricedAmounts amounts = by_model(amounts_at(node, "capacity"), node);
  amounts[core::kNodeHour] = 1000;
  return amounts;
}

core::PricedAmounts node_reserve(const Json& node) {
  const auto capacity = amounts_at(node, "capacity");
  const auto allocatable = amounts_at(node, "allocatable");
  std::map<std::string, int64_t> kept;
  for (const auto& [resource, milli] : capacity)
    if (const auto found = allocatable.find(resource);
        found != allocatable.end() && found->second < milli)
      kept[resource] = milli - found->second;
  core::PricedAmounts amounts = by_model(kept, node);
  const auto cpu = capacity.find("cpu");
  if (cpu != capacity.end() && cpu->second > 0 && kept.contains("cpu"))
    amounts[core::kNodeHour] = kept["cpu"] * 1000 / cpu->second;
  return amounts;
}

core::PricedAmounts pod_holding(const Json& pod, const Json& node) {
  const core::ShapeSpec shape = shape_of(pod);
  const core::NodeUpsert machine = read_node(node);
  core::PricedAmounts holds;
  const auto add = [&](const std::string& what, int64_t milli) {
    if (milli > 0) holds[what] += milli;
  };
  add("cpu", shape.request.cpu_milli);
  add("memory", milli_gib(shape.request.memory_bytes));
  add("ephemeral-storage", milli_gib(shape.request.ephemeral_bytes));
  for (const auto& counted : shape.counted) add(counted.resource, counted.amount * 1000);
  const auto& devices = shape.devices;
  if (devices.count > 0 && !add_given(pod, machine, devices.resource, holds)) {
    const auto models = models_of(machine, devices.resource);
    add(device(devices.resource, models.empty() ? "" : models.begin()->first),
        int64_t{devices.count} * (devices.milli > 0 ? devices.milli : 1000));
  }
  const auto capacity = amounts_at(node, "capacity");
  const auto cpu = capacity.find("cpu");
  if (cpu != capacity.end() && cpu->second > 0)
    add(core::kNodeHour, shape.request.cpu_milli * 1000 / cpu->second);
  return holds;
}

std::optional<Time> bound_at(const Json& pod) {
  if (find_string(pod, {"spec", "nodeName"}).empty()) return std::nullopt;
  for (const Json& condition : find_array(pod, {"status", "conditions"}))
    if (find_string(condition, {"type"}) == "PodScheduled" &&
        find_string(condition, {"status"}) == "True")
      if (const auto at = time_at(condition, {"lastTransitionTime"})) return at;
  return time_at(pod, {"status", "startTime"});
}

std::optional<Time> ended_at(const Json& pod, Time now) {
  const auto phase = find_string(pod, {"status", "phase"});
  if (phase != "Succeeded" && phase != "Failed") return std::nullopt;
  std::optional<Time> last;
  for (const std::string_view list : {"containerStatuses", "initContainerStatuses"})
    for (const Json& status : find_array(pod, {"status", list}))
      if (const auto at = time_at(status, {"state", "terminated", "finishedAt"}))
        last = std::max(last.value_or(*at), *at);
  return last.value_or(now);
}

core::PricedAmounts priced(const core::PricedAmounts& amounts, const core::PriceList& prices) {
  core::PricedAmounts result;
  for (const auto& [what, milli] : amounts) {
    const size_t at = what.find('@');
    const std::string model = at == std::string::npos ? "" : what.substr(at + 1);
    result[!model.empty() && prices.knows(model) ? model : what.substr(0, at)] += milli;
  }
  return result;
}

}  // namespace berth::bridge
