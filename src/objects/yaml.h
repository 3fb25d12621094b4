#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "objects/json.h"
#include "objects/json_text.h"

namespace berth::objects {

/// Where each value of a document stands. Keys are paths such as "spec.containers[0].name"; the
/// root is "". A mapping's entry is at its key, an item at its first character.
class Positions {
 public:
  void set(std::string path, Position at);
  /// The place of a path, or of its nearest parent that has one; line 0 when there is none.
  Position find(std::string_view path) const;
  /// Those of the value at `path`, which is the root of what is answered.
  Positions below(std::string_view path) const;

 private:
  std::map<std::string, Position, std::less<>> by_path_;
};

struct YamlDocument {
  Json value;
  Positions positions;
  std::vector<DuplicateKey> duplicates;

  /// `part`, which stands at `path`, as a document of its own.
  YamlDocument at(std::string_view path, Json part) const;
};

/// Limits against documents that expand (anchors and aliases) or nest without end.
inline constexpr size_t kMaxYamlNodes = 1'000'000;

/// Reads all documents of a text, as Kubernetes reads them: YAML 1.1 scalars (`yes`, `off`, `0644`
/// and `0x1f` are not strings; quoted ones are), anchors, aliases and merge keys. Empty documents
/// are skipped. JSON is read too. An error says `file:line:column`.
Result<std::vector<YamlDocument>> parse_yaml(std::string_view text, std::string_view file = "");

/// Writes a document as kubectl does: block style, keys in byte order, strings quoted where a
/// YAML 1.1 reader would take them for something else.
std::string to_yaml(const Json& value);

}  // namespace berth::objects
