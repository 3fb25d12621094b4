#include "bridge/pod_task.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "base/quantity.h"
#include "base/text.h"
#include "bridge/keys.h"
#include "bridge/node_selection.h"
#include "objects/names.h"

namespace berth::bridge {
namespace {

using objects::find;
using objects::find_array;
using objects::find_bool;
using objects::find_int;
using objects::find_object;
using objects::find_string;

using Amounts = std::map<std::string, int64_t, std::less<>>;  // milli

std::string_view annotation(const Json& object, std::string_view key) {
  return find_string(object, {"metadata", "annotations", key});
}

Time time_at(const Json& object, std::initializer_list<std::string_view> path) {
  const auto time = parse_time(find_string(object, path));
  return time ? *time : Time{};
}

void add_requests(Amounts& to, const Json& holder) {
  // A limit without a request is a request too.
  const JsonObject& requests = find_object(holder, {"resources", "requests"});
  const JsonObject& limits = find_object(holder, {"resources", "limits"});
  const auto add = [&](std::string_view name, const Json& amount) {
    if (!amount.is_string()) {
      if (amount.is_int64()) to[std::string(name)] += amount.get_int64() * 1000;
      return;
    }
    if (const auto quantity = Quantity::parse(amount.get_string()))
      to[std::string(name)] += quantity->milli();
  };
  for (const auto& [name, amount] : requests) add(name, amount);
  for (const auto& [name, amount] : limits)
    if (!requests.contains(name)) add(name, amount);
}

void raise(Amounts& to, const Amounts& least) {
  for (const auto& [name, amount] : least) to[name] = std::max(to[name], amount);
}

/// Containers and sidecars together, or the largest init container with the sidecars before it;
/// what the pod asks as a whole wins; the overhead comes on top.
Amounts requests_of(const Json& pod) {
  Amounts sidecars;
  Amounts initial;
  for (const Json& container : find_array(pod, {"spec", "initContainers"})) {
    if (find_string(container, {"restartPolicy"}) == "Always") {
      add_requests(sidecars, container);
      raise(initial, sidecars);
      continue;
    }
    Amounts with = sidecars;
    add_requests(with, container);
    raise(initial, with);
  }
  Amounts sum = sidecars;
  for (const Json& container : find_array(pod, {"spec", "containers"}))
    add_requests(sum, container);
  raise(sum, initial);
  if (const Json* spec = find(pod, {"spec"})) {
    Amounts whole;
    add_requests(whole, *spec);
    for (const auto& [name, amount] : whole) sum[name] = amount;
  }
  for (const auto& [name, amount] : find_object(pod, {"spec", "overhead"}))
    if (amount.is_string())
      if (const auto quantity = Quantity::parse(amount.get_string()))
        sum[std::string(name)] += quantity->milli();
  return sum;
}

std::optional<double> as_double(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Reads what shares of one device the pod asks for. Returns what is wrong with it, or nothing.
std::string read_share(const Json& pod, const PodContext& context,
                       core::BasicDeviceRequest<std::string>& devices) {
  int64_t milli = 0;
  int64_t memory = 0;
  for (std::string_view key : kGpuFractions) {
    const std::string_view text = annotation(pod, key);
    if (text.empty() || milli != 0) continue;
    const auto fraction = as_double(text);
    if (!fraction || *fraction <= 0 || *fraction > 1)
      return "the annotation " + std::string(key) + " is `" + std::string(text) +
             "`; it is a number above 0 and at most 1, such as \"0.5\"";
    milli = std::llround(std::ceil(*fraction * 1000 - 1e-6));
  }
  if (const std::string_view text = annotation(pod, kGpuMemory); !text.empty()) {
    const auto quantity = Quantity::parse(text);
    if (!quantity || quantity->milli() <= 0)
      return "the annotation " + std::string(kGpuMemory) + " is `" + std::string(text) +
             "`; it is a quantity above 0, such as \"10Gi\"";
    memory = quantity->units();
  } else if (const std::string_view mib = annotation(pod, kKaiGpuMemory); !mib.empty()) {
    const auto number = as_double(mib);
    if (!number || *number <= 0)
      return "the annotation gpu-memory is `" + std::string(mib) + "`; it is a number of MiB";
    memory = std::llround(*number) << 20;
  }
  if (milli == 0 && memory == 0) return {};
  if (devices.count > 1)
    return "it asks for a share of one device and for " + std::to_string(devices.count) + " " +
           devices.resource + "; ask for one of both";
  if (devices.resource.empty()) {
    const bool one = context.device_resources != nullptr && context.device_resources->size() == 1;
    devices.resource = one ? *context.device_resources->begin() : std::string("nvidia.com/gpu");
  }
  devices.count = 1;
  devices.milli = static_cast<uint16_t>(milli);
  devices.memory_bytes = memory;
  return {};
}

/// Reads what a replica beyond its service's minimum is worth: as the annotation has it, for each
/// device (one without any counts as one). Returns what is wrong with it, or nothing.
std::string read_growth(const Json& pod, core::TaskUpsert& task) {
  constexpr double kMost = 1e9;
  const std::string_view text = annotation(pod, kGrowthValue);
  if (text.empty()) return {};
  const auto value = as_double(text);
  if (!value || !(*value >= 0 && *value <= kMost))
    return fmt::format("the annotation {} is `{}`; it is a number from 0 to 1e9, such as \"0.5\"",
                       kGrowthValue, text);
  const core::BasicDeviceRequest<std::string>& devices = task.shape.devices;
  const int64_t milli = devices.count * (devices.milli > 0 ? int64_t{devices.milli} : 1000);
  task.growth_micro = std::llround(*value * 1e9 / static_cast<double>(milli > 0 ? milli : 1000));
  return {};
}

std::string read_shape(const Json& pod, const PodContext& context, core::ShapeSpec& shape) {
  shape.request = {.cpu_milli = 0, .memory_bytes = 0, .ephemeral_bytes = 0, .pods = 1};
  for (const auto& [name, milli] : requests_of(pod)) {
    if (milli <= 0) continue;
    const int64_t units = (milli + 999) / 1000;
    if (name == "cpu")
      shape.request.cpu_milli = milli;
    else if (name == "memory")
      shape.request.memory_bytes = units;
    else if (name == "ephemeral-storage")
      shape.request.ephemeral_bytes = units;
    else if (name == "pods")
      continue;
    else if (shape.devices.resource.empty() &&
             (is_accelerator(name) ||
              (context.device_resources != nullptr && context.device_resources->contains(name)))) {
      shape.devices.resource = name;
      shape.devices.count = static_cast<uint16_t>(std::min<int64_t>(units, UINT16_MAX));
    } else if (name.find('/') != std::string::npos || name.starts_with("hugepages-")) {
      shape.counted.push_back({name, units});
    }
  }
  if (std::string wrong = read_share(pod, context, shape.devices); !wrong.empty()) return wrong;
  read_node_filter(pod, shape.filter);
  return {};
}

core::TaskPhase phase_of(const Json& pod) {
  if (find(pod, {"metadata", "deletionTimestamp"}) != nullptr) return core::TaskPhase::kReleasing;
  return find_string(pod, {"status", "phase"}) == "Running" ? core::TaskPhase::kRunning
                                                            : core::TaskPhase::kBound;
}

std::vector<std::string> assigned_devices(const Json& pod, std::string_view resource) {
  std::vector<std::string> ids;
  const std::string_view text = annotation(pod, kDevices);
  if (text.empty()) return ids;
  boost::system::error_code error;
  const Json list = boost::json::parse(text, error);
  if (error) return ids;
  for (const Json& device : find_array(list, {resource}))
    if (const std::string_view id = find_string(device, {"id"}); !id.empty()) ids.emplace_back(id);
  return ids;
}

/// Labels that no selector of pods is about, and that would make every pod a kind of its own.
bool is_individual(std::string_view key) {
  return key == "batch.kubernetes.io/job-completion-index" ||
         key == "statefulset.kubernetes.io/pod-name" || key == "apps.kubernetes.io/pod-index";
}

Duration expected_duration(const Json& pod) {
  Duration expected;
  if (const auto said = parse_duration(annotation(pod, kExpectedDuration)); said && said->ns > 0)
    expected = *said;
  if (const int64_t deadline = find_int(pod, {"spec", "activeDeadlineSeconds"}); deadline > 0) {
    const Duration bound = Duration::seconds(deadline);
    if (expected.ns == 0 || bound < expected) expected = bound;
  }
  return expected;
}

/// Whose past says how long this takes: the application's, in its namespace. What always runs again
/// never completes.
std::string owner_of(const Json& pod) {
  const std::string_view policy = find_string(pod, {"spec", "restartPolicy"});
  if (policy.empty() || policy == "Always") return {};
  std::string_view application;
  for (const std::string_view label : {"app.kubernetes.io/name", "app"})
    if (application.empty()) application = find_string(pod, {"metadata", "labels", label});
  return std::string(find_string(pod, {"metadata", "namespace"})) + "/" + std::string(application);
}

bool restartable(const Json& pod) {
  const std::string_view said = annotation(pod, kRestartable);
  if (!said.empty()) return said == "true";
  for (const Json& owner : find_array(pod, {"metadata", "ownerReferences"}))
    if (find_string(owner, {"kind"}) == "ReplicaSet") return true;
  return !annotation(pod, kCheckpointInterval).empty() || !annotation(pod, kLastCheckpoint).empty();
}

}  // namespace

bool is_accelerator(std::string_view resource) {
  const size_t slash = resource.find('/');
  if (slash == std::string_view::npos || resource.starts_with("kubernetes.io/")) return false;
  const std::string_view name = resource.substr(slash + 1);
  for (std::string_view part : {"gpu", "tpu", "npu", "neuron", "gaudi", "fpga", "mig-"})
    if (name.find(part) != std::string_view::npos) return true;
  return false;
}

std::string task_name(const Json& pod) {
  return std::string(find_string(pod, {"metadata", "namespace"})) + "/" +
         std::string(find_string(pod, {"metadata", "name"}));
}

std::string_view pod_group_of(const Json& pod) {
  for (std::string_view label : kPodGroupLabels)
    if (const auto name = find_string(pod, {"metadata", "labels", label}); !name.empty())
      return name;
  if (const auto name = annotation(pod, kVolcanoGroup); !name.empty()) return name;
  return find_string(pod, {"spec", "schedulingGroup", "podGroupName"});
}

std::string gang_name(std::string_view ns, std::string_view group) {
  return std::string(ns) + "/group/" + std::string(group);
}

std::string_view queue_label(const Json& object) {
  for (std::string_view label : objects::kQueueLabels)
    if (const auto name = find_string(object, {"metadata", "labels", label}); !name.empty())
      return name;
  return {};
}

PodTask read_pod(const Json& pod, const PodContext& context) {
  PodTask out;
  const std::string_view phase = find_string(pod, {"status", "phase"});
  const std::string_view node = find_string(pod, {"spec", "nodeName"});
  if (phase == "Succeeded" || phase == "Failed") return out;
  if (node.empty() && find(pod, {"metadata", "deletionTimestamp"}) != nullptr) return out;

  core::TaskUpsert task;
  task.name = task_name(pod);
  task.ns = find_string(pod, {"metadata", "namespace"});
  task.managed = context.managed(pod);
  if (!task.managed && node.empty()) return out;
  std::string wrong = read_shape(pod, context, task.shape);
  if (wrong.empty()) wrong = read_growth(pod, task);
  if (wrong.empty() && node.empty() && !find_array(pod, {"spec", "resourceClaims"}).empty())
    wrong =
        "it asks for devices by resourceClaims, which Berth does not support yet; ask for them "
        "as an extended resource, such as nvidia.com/gpu";
  if (!wrong.empty() && node.empty()) {
    out.refused = std::move(wrong);
    return out;
  }

  if (const std::string_view group = pod_group_of(pod); !group.empty())
    task.gang = gang_name(task.ns, group);
  task.queue = queue_label(pod);
  if (task.queue.empty()) task.queue = context.queue_of_namespace(task.ns);
  task.gated = !find_array(pod, {"spec", "schedulingGates"}).empty();
  task.preemptible = annotation(pod, kPreemptible) != "false";
  task.restartable = restartable(pod);
  task.priority = find(pod, {"spec", "priority"}) != nullptr
                      ? static_cast<int32_t>(find_int(pod, {"spec", "priority"}))
                      : context.priority(find_string(pod, {"spec", "priorityClassName"}));
  for (const auto& [key, value] : find_object(pod, {"metadata", "labels"}))
    if (value.is_string() && !is_individual(key))
      task.labels.emplace_back(std::string(key), std::string(value.get_string()));
  std::sort(task.labels.begin(), task.labels.end());
  task.created = time_at(pod, {"metadata", "creationTimestamp"});
  task.owner = owner_of(pod);
  task.expected_duration = expected_duration(pod);
  task.last_checkpoint = time_at(pod, {"metadata", "annotations", kLastCheckpoint});
  task.grace = Duration::seconds(find_int(pod, {"spec", "terminationGracePeriodSeconds"}, 30));
  if (!node.empty()) {
    task.node = node;
    task.phase = phase_of(pod);
    task.devices = assigned_devices(pod, task.shape.devices.resource);
    task.backfilled = annotation(pod, kBackfilled) == "true";
    task.started = time_at(pod, {"status", "startTime"});
    for (const Json& condition : find_array(pod, {"status", "conditions"}))
      if (find_string(condition, {"type"}) == "PodScheduled" &&
          find_string(condition, {"status"}) == "True" && task.started.ns == 0)
        task.started = time_at(condition, {"lastTransitionTime"});
    task.release_by = time_at(pod, {"metadata", "deletionTimestamp"});
  }
  out.task = std::move(task);
  return out;
}

}  // namespace berth::bridge
