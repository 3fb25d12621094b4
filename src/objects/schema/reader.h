#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "objects/schema.h"

namespace berth::objects {

/// What one text added to a registry. Deques, because rows point at each other.
struct SchemaPart {
  std::string text;  ///< empty where the text is the program's
  std::deque<Struct> structs;
  std::deque<Field> items;
  std::deque<Json> defaults;
  std::deque<Kind> kinds;
};

/// Reads schema texts (schema/text.h) into a registry, all or nothing.
class SchemaReader {
 public:
  explicit SchemaReader(Registry& registry);

  /// The texts must outlive the registry.
  Result<> read(const std::vector<std::string_view>& texts);
  Result<> read_copy(std::string text);

 private:
  Result<> read_line(std::string_view line);
  Result<> start_struct(std::string_view rest);
  Result<> start_kind(std::string_view rest);
  Result<> read_field(std::string_view rest);
  Result<> read_kind_row(std::string_view rest);
  Result<> read_attribute(Field& field, std::string_view word);
  Result<> read_number_attribute(Field& field, std::string_view word);
  Result<> read_type(Field& field, std::string_view type);
  Result<> read_column(std::string_view rest);
  Result<> check_references() const;
  const Struct* struct_named(std::string_view name);

  Registry& registry_;
  std::unique_ptr<SchemaPart> part_;
  std::unordered_map<std::string_view, Struct*> new_structs_;  ///< also those only referred to
  std::unordered_map<std::string_view, bool> defined_;
  Struct* struct_ = nullptr;
  Kind* kind_ = nullptr;
};

}  // namespace berth::objects
