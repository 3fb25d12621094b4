#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/model/ids.h"

namespace berth::core {

/// Interned strings that live as long as the table: labels, models, resources, zones. What comes
/// and goes by the thousand (task and gang names) is not kept here.
class NameTable {
 public:
  NameTable() = default;
  NameTable(const NameTable& other);
  NameTable& operator=(const NameTable& other);
  NameTable(NameTable&&) noexcept = default;
  NameTable& operator=(NameTable&&) noexcept = default;

  NameId intern(std::string_view name);
  /// Invalid where nobody interned it.
  NameId find(std::string_view name) const;
  /// Empty for an invalid id.
  std::string_view text(NameId id) const;
  size_t size() const { return texts_.size(); }

 private:
  std::deque<std::string> texts_;  // never moves a string: the map's keys point into it
  std::unordered_map<std::string_view, NameId> ids_;
};

}  // namespace berth::core
