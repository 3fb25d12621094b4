#pragma once

#include <cstdint>
#include <vector>

namespace berth::core {

/// A slot for a new item: one that was given back, reset, or one more at the end.
template <class Id, class Item>
Id take_slot(std::vector<Item>& items, std::vector<Id>& free) {
  if (!free.empty()) {
    const Id id = free.back();
    free.pop_back();
    items[id.index()] = Item{};
    return id;
  }
  items.emplace_back();
  return Id{static_cast<uint32_t>(items.size() - 1)};
}

}  // namespace berth::core
