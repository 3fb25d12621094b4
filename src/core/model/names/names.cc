#include "core/model/names/names.h"

namespace berth::core {

NameTable::NameTable(const NameTable& other) {
  for (const std::string& text : other.texts_) intern(text);
}

NameTable& NameTable::operator=(const NameTable& other) {
  if (this != &other) *this = NameTable(other);
  return *this;
}

NameId NameTable::intern(std::string_view name) {
  if (const auto found = ids_.find(name); found != ids_.end()) return found->second;
  const NameId id{static_cast<uint32_t>(texts_.size())};
  const std::string& kept = texts_.emplace_back(name);
  ids_.emplace(kept, id);
  return id;
}

NameId NameTable::find(std::string_view name) const {
  const auto found = ids_.find(name);
  return found == ids_.end() ? NameId{} : found->second;
}

std::string_view NameTable::text(NameId id) const {
  return id.valid() ? std::string_view(texts_[id.index()]) : std::string_view();
}

}  // namespace berth::core
