#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "objects/json.h"

namespace berth::objects {

/// A place in a text; lines and columns start at 1, columns count bytes.
struct Position {
  int line = 0;
  int column = 0;
  bool operator==(const Position&) const = default;
};

Position position_of(std::string_view text, size_t offset);

struct DuplicateKey {
  std::string path;  ///< "spec.containers[0].name"
  Position at;       ///< line 0: not known
};

struct ParsedJson {
  Json value;  ///< of a repeated key, the last value
  std::vector<DuplicateKey> duplicates;
};

inline constexpr int kMaxDepth = 100;

/// Reads one document. Fails with `line:column` when it is not JSON or nested deeper than
/// kMaxDepth. Integers keep all 64 bits.
Result<ParsedJson> parse_json(std::string_view text);

/// Canonical bytes: no spaces, keys in byte order, numbers in their shortest form. Equal documents
/// have equal bytes.
std::string canonical_json(const Json& value);
/// As `kubectl -o json` prints: four spaces, keys in byte order.
std::string pretty_json(const Json& value);

}  // namespace berth::objects
