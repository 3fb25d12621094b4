#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "client/api_client.h"
#include "node/devices/device_source.h"
#include "node/host/host.h"
#include "platform/event_loop.h"

namespace berth::node {

/// What the node offers, apart from devices.
struct NodeOffer {
  std::string name;
  MachineFacts facts;
  int max_pods = 0;
  int64_t reserved_cpu_milli = 0;
  int64_t reserved_memory_bytes = 0;
  int64_t reserved_disk_bytes = 0;
  std::vector<std::string> host_limits;
};

/// Labels, annotations and spec-independent metadata, and the status, of the Node object.
Json node_object(const NodeOffer& offer, const std::vector<Device>& devices,
                 const Json& conditions);
Json node_conditions(Time since, Time now, const std::vector<std::string>& host_limits);
/// The annotation `berth.dev/devices`.
std::string devices_annotation(const std::vector<Device>& devices);

/// Registers the Node object, keeps it in step with the machine, and renews its Lease. The status
/// is written when it changes and every five minutes; the Lease every ten seconds. Loop thread.
class NodeRegistrar {
 public:
  NodeRegistrar(client::ApiClient& api, platform::EventLoop& loop, const Clock& clock,
                NodeOffer offer);
  ~NodeRegistrar();

  void start(std::vector<Device> devices);
  void set_devices(std::vector<Device> devices);
  bool registered() const { return registered_; }

 private:
  void create();
  void write_metadata();
  void write_status();
  void renew_lease();
  void make_lease_namespace();
  void again_in(Duration delay, std::function<void()> work);
  Json object() const;
  /// Work for the loop that does nothing once this is gone.
  std::function<void(Result<SharedJson>)> answer(
      std::function<void(const Result<SharedJson>&)> then);

  client::ApiClient& api_;
  platform::EventLoop& loop_;
  const Clock& clock_;
  NodeOffer offer_;
  std::vector<Device> devices_;
  Time since_;
  bool registered_ = false;
  bool lease_known_ = false;
  bool renewing_ = false;
  std::string last_metadata_;
  std::string last_status_;
  Time status_written_;
  std::shared_ptr<NodeRegistrar*> self_;
};

}  // namespace berth::node
