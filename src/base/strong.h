#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace berth {

/// An integer that cannot be mixed up with another: `struct NodeTag; using NodeId =
/// Strong<NodeTag>;` Ids are dense indices; the default value means "none".
template <class Tag, class Value = uint32_t>
struct Strong {
  static constexpr Value kNone = static_cast<Value>(-1);

  Value value = kNone;

  constexpr bool valid() const { return value != kNone; }
  constexpr size_t index() const { return static_cast<size_t>(value); }
  constexpr auto operator<=>(const Strong&) const = default;
};

}  // namespace berth

template <class Tag, class Value>
struct std::hash<berth::Strong<Tag, Value>> {
  size_t operator()(berth::Strong<Tag, Value> id) const noexcept {
    return std::hash<Value>()(id.value);
  }
};
