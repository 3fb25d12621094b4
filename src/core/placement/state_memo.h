#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/model/hash.h"
#include "core/placement/request.h"

namespace berth::core {

/// Remembers the value of node states: many nodes, and many trial placements, are in the same
/// state. A state is a model, free CPU and the multiset of what is free of the devices. Entries are
/// told apart by 64-bit hashes alone.
template <class Value>
class StateMemo {
 public:
  StateMemo() : entries_(kEntries) {
    for (size_t left = 0; left < device_hash_.size(); ++left) {
      device_hash_[left] = Hash::mix(left + 0x9e3779b97f4a7c15ull);
    }
  }

  uint64_t devices_key(std::span<const int16_t> left) const {
    uint64_t sum = 0;
    for (int16_t free : left) sum += device_hash_[static_cast<size_t>(free)];
    return sum;
  }
  /// The key after one device went from `before` to `after`.
  uint64_t moved(uint64_t devices_key, int before, int after) const {
    return devices_key - device_hash_[static_cast<size_t>(before)] +
           device_hash_[static_cast<size_t>(after)];
  }

  template <class Compute>
  Value get(int model, int64_t cpu_milli, uint64_t devices_key, const Compute& compute) {
    const uint64_t key = Hash::mix(devices_key ^ Hash::mix(static_cast<uint64_t>(cpu_milli) << 8 |
                                                           static_cast<uint64_t>(model))) |
                         1;
    Entry& entry = entries_[key >> (64 - kBits)];
    if (entry.key != key) entry = {key, compute()};
    return entry.value;
  }

 private:
  static constexpr int kBits = 16;
  static constexpr size_t kEntries = size_t{1} << kBits;
  struct Entry {
    uint64_t key = 0;  ///< never 0 where something is remembered
    Value value{};
  };

  std::vector<Entry> entries_;
  std::array<uint64_t, kWholeDevice + 1> device_hash_;
};

}  // namespace berth::core
