#include "fuzz.h"
#include "objects/json_text.h"
#include "objects/validate.h"
#include "objects/yaml.h"

using namespace berth::objects;

/// What is read is written as YAML that is read back the same; any document can be checked.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const auto kRegistry = Registry::built_in();
  const auto documents = parse_yaml(as_text(bytes, size), "f");
  if (!documents) return 0;
  for (const YamlDocument& document : *documents) {
    check_manifest(*kRegistry, document, "f");
    const auto again = parse_yaml(to_yaml(document.value));
    FUZZ_CHECK(again && again->size() == 1);
    FUZZ_CHECK(canonical_json(again->front().value) == canonical_json(document.value));
  }
  return 0;
}
