#include "node/node_object.h"

#include <algorithm>
#include <map>
#include <utility>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "base/quantity.h"

namespace berth::node {
namespace {

const client::Resource kNodes = {"", "v1", "nodes"};
const client::Resource kLeases = {"coordination.k8s.io", "v1", "leases"};
constexpr const char* kLeaseNamespace = "kube-node-lease";
constexpr Duration kRenewPeriod = Duration::seconds(10);
constexpr int kLeaseSeconds = 40;
constexpr Duration kStatusPeriod = Duration::minutes(5);
constexpr Duration kRetry = Duration::milliseconds(500);

JsonObject resources(const NodeOffer& offer, const std::vector<Device>& devices, bool allocatable) {
  const int64_t cpu = offer.facts.cpus * 1000 - (allocatable ? offer.reserved_cpu_milli : 0);
  const int64_t memory = offer.facts.memory_bytes - (allocatable ? offer.reserved_memory_bytes : 0);
  const int64_t disk = offer.facts.disk_bytes - (allocatable ? offer.reserved_disk_bytes : 0);
  JsonObject out = {
      {"cpu", Quantity::from_milli(std::max<int64_t>(cpu, 0)).to_string()},
      {"memory", Quantity::from_bytes(std::max<int64_t>(memory, 0) / 1024 * 1024).to_string()},
      {"ephemeral-storage",
       Quantity::from_bytes(std::max<int64_t>(disk, 0) / 1024 * 1024).to_string()},
      {"pods", fmt::format("{}", offer.max_pods)}};
  std::map<std::string, int64_t> counts;
  for (const Device& device : devices)
    if (!allocatable || device.healthy) ++counts[device.resource];
  for (const auto& [resource, count] : counts) out[resource] = fmt::format("{}", count);
  return out;
}

/// A label value may hold letters, digits, `-`, `_` and `.` only.
std::string label_value(std::string text) {
  for (char& c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_' && c != '.')
      c = '-';
  text.resize(std::min<size_t>(text.size(), 63));
  while (!text.empty() && std::isalnum(static_cast<unsigned char>(text.back())) == 0)
    text.pop_back();
  return text;
}

Json condition(std::string_view type, bool status, std::string_view reason,
               const std::string& message, Time since, Time now) {
  return JsonObject{{"type", type},
                    {"status", status ? "True" : "False"},
                    {"reason", reason},
                    {"message", message},
                    {"lastHeartbeatTime", format_time(now)},
                    {"lastTransitionTime", format_time(since)}};
}

}  // namespace

std::string devices_annotation(const std::vector<Device>& devices) {
  JsonArray out;
  for (const Device& d : devices) {
    std::string busy;
    for (const DeviceUser& user : d.busy_by)
      busy += fmt::format("{}{} (pid {})", busy.empty() ? "" : ", ", user.command, user.pid);
    out.push_back(JsonObject{{"resource", d.resource},
                             {"id", d.id},
                             {"uuid", d.uuid},
                             {"model", d.model},
                             {"memoryBytes", d.memory_bytes},
                             {"numa", d.numa},
                             {"linkDomain", d.link_domain},
                             {"healthy", d.healthy},
                             {"busy", busy}});
  }
  return boost::json::serialize(out);
}

Json node_conditions(Time since, Time now, const std::vector<std::string>& host_limits) {
  std::string limits;
  for (const std::string& limit : host_limits) limits += (limits.empty() ? "" : " ") + limit;
  return JsonArray{
      condition("MemoryPressure", false, "SufficientMemory", "memory is available", since, now),
      condition("DiskPressure", false, "NoDiskPressure", "disk space is available", since, now),
      condition("PIDPressure", false, "SufficientPIDs", "process ids are available", since, now),
      condition("HostLimits", !host_limits.empty(), host_limits.empty() ? "None" : "DoneWithout",
                host_limits.empty() ? "this machine allows everything that Berth uses" : limits,
                since, now),
      condition("Ready", true, "NodeReady", "Berth's node agent runs", since, now)};
}

Json node_object(const NodeOffer& offer, const std::vector<Device>& devices,
                 const Json& conditions) {
  JsonObject labels = {{"kubernetes.io/hostname", label_value(offer.name)},
                       {"kubernetes.io/arch", offer.facts.architecture},
                       {"kubernetes.io/os", "linux"}};
  for (const Device& device : devices)
    if (!device.model.empty()) labels["berth.dev/accelerator-model"] = label_value(device.model);
  JsonArray limits;
  for (const std::string& limit : offer.host_limits) limits.emplace_back(limit);
  const MachineFacts& facts = offer.facts;
  return JsonObject{
      {"apiVersion", "v1"},
      {"kind", "Node"},
      {"metadata",
       JsonObject{
           {"name", offer.name},
           {"labels", std::move(labels)},
           {"annotations", JsonObject{{"berth.dev/devices", devices_annotation(devices)},
                                      {"berth.dev/host-limits", boost::json::serialize(limits)}}}}},
      {"status",
       JsonObject{
           {"capacity", resources(offer, devices, false)},
           {"allocatable", resources(offer, devices, true)},
           {"conditions", conditions},
           {"addresses", JsonArray{JsonObject{{"type", "InternalIP"}, {"address", facts.address}},
                                   JsonObject{{"type", "Hostname"}, {"address", offer.name}}}},
           {"nodeInfo", JsonObject{{"machineID", facts.machine_id},
                                   {"systemUUID", facts.machine_id},
                                   {"bootID", facts.boot_id},
                                   {"kernelVersion", facts.kernel},
                                   {"osImage", facts.os_image},
                                   {"containerRuntimeVersion", "runc://" + facts.runtime_version},
                                   {"kubeletVersion", "v1.36.0-berth"},
                                   {"kubeProxyVersion", ""},
                                   {"operatingSystem", "linux"},
                                   {"architecture", facts.architecture}}}}}};
}

NodeRegistrar::NodeRegistrar(client::ApiClient& api, platform::EventLoop& loop, const Clock& clock,
                             NodeOffer offer)
    : api_(api),
      loop_(loop),
      clock_(clock),
      offer_(std::move(offer)),
      since_(clock.now()),
      self_(std::make_shared<NodeRegistrar*>(this)) {}

NodeRegistrar::~NodeRegistrar() {
  *self_ = nullptr;
}

std::function<void(Result<SharedJson>)> NodeRegistrar::answer(
    std::function<void(const Result<SharedJson>&)> then) {
  return [self = self_, &loop = loop_, then = std::move(then)](Result<SharedJson> result) {
    loop.post([self, then, result = std::move(result)] {
      if (*self != nullptr) then(result);
    });
  };
}

void NodeRegistrar::again_in(Duration delay, std::function<void()> work) {
  loop_.after(delay, [self = self_, work = std::move(work)] {
    if (*self != nullptr) work();
  });
}

Json NodeRegistrar::object() const {
  return node_object(offer_, devices_, node_conditions(since_, clock_.now(), offer_.host_limits));
}

void NodeRegistrar::start(std::vector<Device> devices) {
  devices_ = std::move(devices);
  create();
}

void NodeRegistrar::create() {
  api_.create({kNodes, {}, {}, {}}, object(), {}, answer([this](const Result<SharedJson>& made) {
                const bool there = made || made.error().code == ErrorCode::kAlreadyExists ||
                                   made.error().code == ErrorCode::kConflict;
                if (!there) return again_in(kRetry, [this] { create(); });
                write_metadata();
                write_status();
                if (!std::exchange(renewing_, true)) renew_lease();
              }));
}

void NodeRegistrar::set_devices(std::vector<Device> devices) {
  devices_ = std::move(devices);
  if (!registered_) return;
  write_metadata();
  write_status();
}

void NodeRegistrar::write_metadata() {
  const Json whole = object();
  Json patch =
      JsonObject{{"metadata",
                  JsonObject{{"labels", *objects::find(whole, {"metadata", "labels"})},
                             {"annotations", *objects::find(whole, {"metadata", "annotations"})}}}};
  std::string text = boost::json::serialize(patch);
  if (text == last_metadata_) return;
  api_.patch({kNodes, {}, offer_.name, {}}, client::PatchType::kMerge, std::move(patch), {},
             answer([this, text](const Result<SharedJson>& done) {
               if (done)
                 last_metadata_ = text;
               else
                 again_in(kRetry, [this] { write_metadata(); });
             }));
}

void NodeRegistrar::write_status() {
  const Time now = clock_.now();
  Json whole = object();
  Json patch = JsonObject{{"status", *objects::find(whole, {"status"})}};
  // Heartbeat times alone are no news: the Lease carries the heartbeat.
  const std::string text = boost::json::serialize(
      node_object(offer_, devices_, node_conditions(since_, since_, offer_.host_limits)));
  if (registered_ && text == last_status_ && now - status_written_ < kStatusPeriod) return;
  api_.patch({kNodes, {}, offer_.name, "status"}, client::PatchType::kStrategicMerge,
             std::move(patch), {}, answer([this, text, now](const Result<SharedJson>& done) {
               if (done) {
                 registered_ = true;
                 last_status_ = text;
                 status_written_ = now;
                 return;
               }
               // Somebody deleted the Node: it is made anew.
               if (done.error().code == ErrorCode::kNotFound) registered_ = false;
               again_in(kRetry, [this] { registered_ ? write_status() : create(); });
             }));
}

/// A server on a new data folder may not have it yet.
void NodeRegistrar::make_lease_namespace() {
  api_.create({{"", "v1", "namespaces"}, {}, {}, {}},
              JsonObject{{"apiVersion", "v1"},
                         {"kind", "Namespace"},
                         {"metadata", JsonObject{{"name", kLeaseNamespace}}}},
              {}, [](const Result<SharedJson>&) {});
}

void NodeRegistrar::renew_lease() {
  const Time now = clock_.now();
  JsonObject spec = {{"holderIdentity", offer_.name},
                     {"leaseDurationSeconds", kLeaseSeconds},
                     {"renewTime", format_micro_time(now)}};
  const auto renewed = answer([this](const Result<SharedJson>& done) {
    lease_known_ = done.has_value();
    again_in(done ? kRenewPeriod : kRetry * 4, [this] {
      renew_lease();
      write_status();
    });
  });
  if (lease_known_) {
    api_.patch({kLeases, kLeaseNamespace, offer_.name, {}}, client::PatchType::kMerge,
               JsonObject{{"spec", std::move(spec)}}, {}, renewed);
    return;
  }
  Json lease =
      JsonObject{{"apiVersion", "coordination.k8s.io/v1"},
                 {"kind", "Lease"},
                 {"metadata", JsonObject{{"name", offer_.name}, {"namespace", kLeaseNamespace}}},
                 {"spec", spec}};
  api_.create({kLeases, kLeaseNamespace, {}, {}}, std::move(lease), {},
              answer([this, spec, renewed](const Result<SharedJson>& made) {
                if (!made && made.error().code == ErrorCode::kNotFound) make_lease_namespace();
                if (made || made.error().code != ErrorCode::kAlreadyExists) return renewed(made);
                api_.patch({kLeases, kLeaseNamespace, offer_.name, {}}, client::PatchType::kMerge,
                           JsonObject{{"spec", spec}}, {}, renewed);
              }));
}

}  // namespace berth::node
