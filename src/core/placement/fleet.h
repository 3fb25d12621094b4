#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/model/ids.h"
#include "core/placement/request.h"

namespace berth::core {

/// The sizes in which tasks take devices. Clustering keeps like with like.
enum class DeviceClass : uint8_t { kShare, kOne, kTwo, kFour, kEight, kOther };
inline constexpr int kDeviceClasses = 6;
DeviceClass device_class(const Request& request);

/// What is free on every node, in flat arrays: all that fit and scores read. Live, `Placer` keeps
/// it equal to `State`; the placement benchmark drives it directly. Nodes are in tie-break order.
/// Every change is noted, so that an index rescores only the nodes that changed since it last
/// looked.
class Fleet {
 public:
  struct Node {
    int64_t cpu_milli = 0;  ///< free
    int64_t memory_bytes = 0;
    int32_t idle_milli = 0;  ///< free over all devices
    uint32_t first_device = 0;
    uint8_t devices = 0;
    uint8_t model = 0;
    std::array<uint16_t, kDeviceClasses> residents{};  ///< tasks by class
  };

  uint32_t add_node(int64_t cpu_milli, int64_t memory_bytes, int devices, int model);

  /// Replaces what is free, where somebody else keeps the books. `devices` is `left(n).size()`.
  void set_free(uint32_t n, int64_t cpu_milli, int64_t memory_bytes,
                std::span<const int16_t> devices);

  uint32_t size() const { return static_cast<uint32_t>(nodes_.size()); }
  const Node& node(uint32_t n) const { return nodes_[n]; }
  /// What is free of each device, in thousandths.
  std::span<const int16_t> left(uint32_t n) const {
    return {left_.data() + nodes_[n].first_device, nodes_[n].devices};
  }
  /// CPU, memory, model and devices. No scorer may refuse what this admits.
  bool fits(uint32_t n, const Request& request) const;

  void take(uint32_t n, const Request& request, const DeviceSet& devices);
  void give_back(uint32_t n, const Request& request, const DeviceSet& devices);

  /// Changes so far. `changed(i)` for i in [since, changes()) names the node of each; older ones
  /// are forgotten: below `oldest_change()` everything may have changed.
  uint64_t changes() const { return first_change_ + log_.size(); }
  uint64_t oldest_change() const { return first_change_; }
  uint32_t changed(uint64_t i) const { return log_[i - first_change_]; }

  /// Bytes held.
  size_t memory_bytes() const;

 private:
  void note_change(uint32_t n);

  std::vector<Node> nodes_;
  std::vector<int16_t> left_;
  std::vector<uint32_t> log_;
  uint64_t first_change_ = 0;
};

}  // namespace berth::core
