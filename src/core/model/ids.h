#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/strong.h"

namespace berth::core {

struct NameTag;
struct NodeTag;
struct TaskTag;
struct GangTag;
struct QueueTag;
struct ShapeTag;
struct LabelSetTag;
struct AcceleratorTag;

/// Ids are dense indices into the State that gave them. They are reused after their owner is gone,
/// and mean nothing in another State: whatever leaves the core (plans, journal) carries names.
using NameId = Strong<NameTag>;
using NodeId = Strong<NodeTag>;
using TaskId = Strong<TaskTag>;
using GangId = Strong<GangTag>;
using QueueId = Strong<QueueTag>;
using ShapeId = Strong<ShapeTag>;
using LabelSetId = Strong<LabelSetTag>;
/// A kind of accelerator: its model, or its resource name where the model is not known.
using AcceleratorId = Strong<AcceleratorTag, uint8_t>;

/// More kinds than this share the last id.
inline constexpr size_t kMaxAccelerators = 64;
/// A set of accelerator kinds, bit `i` for AcceleratorId{i}.
using AcceleratorMask = uint64_t;
inline constexpr AcceleratorMask kAllAccelerators = ~AcceleratorMask{0};

/// A set of devices of one node, bit `i` for the device at index i. A node's further devices are
/// not given out.
using DeviceSet = uint64_t;
inline constexpr size_t kMaxDevicesPerNode = 64;

constexpr DeviceSet device_bit(size_t device) {
  return DeviceSet{1} << device;
}

/// Calls `visit(index)` in ascending order.
template <class Visit>
constexpr void for_each_device(DeviceSet devices, Visit visit) {
  for (; devices != 0; devices &= devices - 1)
    visit(static_cast<size_t>(std::countr_zero(devices)));
}

}  // namespace berth::core
