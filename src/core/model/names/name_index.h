#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace berth::core {

/// Finds slots by name without keeping the names once more: an open-addressed table (linear
/// probing, deletion by shifting back) of ids with a hash each. `name_of(id)` gives the name of a
/// slot, and must do so while the slot is in the index. Nothing goes by its order.
template <class Id>
class NameIndex {
 public:
  /// Invalid where there is none.
  template <class NameOf>
  Id find(std::string_view name, const NameOf& name_of) const {
    if (used_ == 0) return {};
    const uint32_t hash = hash_of(name);
    for (size_t at = hash & mask();; at = (at + 1) & mask()) {
      const Entry& entry = table_[at];
      if (!entry.id.valid()) return {};
      if (entry.hash == hash && name_of(entry.id) == name) return entry.id;
    }
  }

  /// `name` must not be there yet.
  void insert(std::string_view name, Id id) {
    if (2 * (used_ + 1) > table_.size()) grow();
    put({id, hash_of(name)});
    ++used_;
  }

  /// False where `id` is not there under this name.
  bool erase(std::string_view name, Id id) {
    if (used_ == 0) return false;
    size_t hole = hash_of(name) & mask();
    while (table_[hole].id != id) {
      if (!table_[hole].id.valid()) return false;
      hole = (hole + 1) & mask();
    }
    // What was pushed on by it moves back, unless it is already where it belongs.
    for (size_t at = (hole + 1) & mask(); table_[at].id.valid(); at = (at + 1) & mask()) {
      const size_t home = table_[at].hash & mask();
      if (((at - home) & mask()) < ((at - hole) & mask())) continue;
      table_[hole] = table_[at];
      hole = at;
    }
    table_[hole] = {};
    --used_;
    return true;
  }

 private:
  struct Entry {
    Id id{};
    uint32_t hash = 0;
  };

  static uint32_t hash_of(std::string_view name) {
    return static_cast<uint32_t>(std::hash<std::string_view>{}(name));
  }
  size_t mask() const { return table_.size() - 1; }

  void put(const Entry& entry) {
    size_t at = entry.hash & mask();
    while (table_[at].id.valid()) at = (at + 1) & mask();
    table_[at] = entry;
  }

  void grow() {
    std::vector<Entry> before(table_.empty() ? 16 : 2 * table_.size());
    before.swap(table_);
    for (const Entry& entry : before)
      if (entry.id.valid()) put(entry);
  }

  std::vector<Entry> table_;  ///< a power of two, at most half full
  size_t used_ = 0;
};

}  // namespace berth::core
