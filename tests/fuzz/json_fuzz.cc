#include "fuzz.h"
#include "objects/json_text.h"

using namespace berth::objects;

/// What is read is written canonically, and that is read back the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const auto parsed = parse_json(as_text(bytes, size));
  if (!parsed) return 0;
  const std::string text = canonical_json(parsed->value);
  const auto again = parse_json(text);
  FUZZ_CHECK(again && again->duplicates.empty());
  FUZZ_CHECK(canonical_json(again->value) == text);
  FUZZ_CHECK(parse_json(pretty_json(parsed->value)));
  return 0;
}
