#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/model/shape.h"

namespace berth::core {

/// One device of a node whose devices are `named`.
struct Device {
  NameId id{};           ///< unique on its node: `gpu-0`
  NameId resource{};     ///< `nvidia.com/gpu`
  NameId model{};        ///< `NVIDIA-H100`; may be none
  NameId link_domain{};  ///< devices of one domain reach each other fast (NVLink); may be none
  int64_t memory_bytes = 0;
  int64_t used_memory_bytes = 0;
  uint16_t used_milli = 0;
  int16_t numa = -1;
  AcceleratorId accelerator{};
  bool healthy = true;  ///< false too once the node no longer reports it
  bool busy = false;    ///< held by processes that are not Berth's
  /// Promised to a gang by a claim or reservation. The holder's are lifted while it is placed, so
  /// whoever places sees a plain yes or no.
  uint16_t claims = 0;

  bool usable() const { return healthy && !busy && claims == 0; }
  bool idle() const { return used_milli == 0 && usable(); }
  uint16_t free_milli() const { return static_cast<uint16_t>(1000 - used_milli); }
  int64_t free_memory_bytes() const { return memory_bytes - used_memory_bytes; }
};

struct DeviceShare {
  uint16_t milli = 0;
  int64_t memory_bytes = 0;
};

/// What `request` takes of `device`: compute and memory each at least the share of the other where
/// only one is given. More than 1000 milli, or more memory than the device has, does not fit.
DeviceShare share_on(const DeviceRequest& request, const Device& device);

/// Can one of the devices that `request` asks for be this one, now? (Resource, model, health,
/// claims, compute and memory.)
bool fits(const DeviceRequest& request, const Device& device);

/// An extended resource that the node only counts: the kubelet chooses the devices.
struct CountedResource {
  NameId resource{};
  NameId model{};  ///< of an accelerator, from the node's labels; may be none
  AcceleratorId accelerator{};
  int64_t capacity = 0;
  int64_t used = 0;
  int64_t releasing = 0;
  int64_t claimed = 0;

  int64_t free() const { return capacity - std::max(used, used - releasing + claimed); }
};

struct Node {
  std::string name{};
  bool alive = false;  ///< false: a free slot
  bool unschedulable = false;
  bool ready = true;
  Resources capacity{};
  /// Held by tasks, those that are releasing included.
  Resources used{};
  Resources releasing{};
  /// Promised by claims and reservations that are not lifted.
  Resources claimed{};
  std::vector<Device> devices{};
  std::vector<CountedResource> counted{};
  std::vector<Label> labels{};  ///< sorted by key id
  std::vector<Taint> taints{};
  std::vector<TaskId> tasks{};  ///< sorted; those that hold something here
  /// Measured usage in thousandths of capacity, the newest sample; -1: none was seen.
  int32_t measured_cpu_permille = -1;
  int32_t measured_memory_permille = -1;
  int32_t measured_device_permille = -1;  ///< mean over its devices
  uint64_t version = 0;                   ///< State's change counter when this node last changed

  bool named() const { return !devices.empty(); }

  /// What may be given out now. A claim may wait for what its victims still hold: what is free is
  /// bounded by what is physically free and by what remains after the releases and the claims.
  Resources free() const {
    const auto left = [](int64_t cap, int64_t use, int64_t rel, int64_t claim) {
      return cap - std::max(use, use - rel + claim);
    };
    return {left(capacity.cpu_milli, used.cpu_milli, releasing.cpu_milli, claimed.cpu_milli),
            left(capacity.memory_bytes, used.memory_bytes, releasing.memory_bytes,
                 claimed.memory_bytes),
            left(capacity.ephemeral_bytes, used.ephemeral_bytes, releasing.ephemeral_bytes,
                 claimed.ephemeral_bytes),
            left(capacity.pods, used.pods, releasing.pods, claimed.pods)};
  }

  /// The value of a label, or an invalid id.
  NameId label(NameId key) const {
    const auto at = std::lower_bound(labels.begin(), labels.end(), key,
                                     [](const Label& l, NameId k) { return l.key < k; });
    return at != labels.end() && at->key == key ? at->value : NameId{};
  }
};

}  // namespace berth::core
