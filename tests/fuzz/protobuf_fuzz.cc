#include <memory>

#include "fuzz.h"
#include "objects/json_text.h"
#include "objects/protobuf/decode.h"

using namespace berth::objects;

/// Any bytes as a protobuf body: refused, or a document that can be written and read back.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const std::unique_ptr<Registry> registry = Registry::built_in();
  const auto object = decode_protobuf(*registry, as_text(bytes, size));
  if (!object) return 0;
  FUZZ_CHECK(parse_json(canonical_json(*object)));
  return 0;
}
