#include "fuzz.h"
#include "objects/selector.h"

using namespace berth::objects;

/// A selector that is read is written as one that is read back the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const auto kRegistry = Registry::built_in();
  const std::string_view text = as_text(bytes, size);
  if (const auto selector = LabelSelector::parse(text)) {
    const auto again = LabelSelector::parse(selector->to_string());
    FUZZ_CHECK(again);
    FUZZ_CHECK(again->requirements() == selector->requirements());
    selector->matches({{"app", "web"}, {"tier", "a"}});
  }
  if (const auto selector = FieldSelector::parse(*kRegistry->find("", "v1", "pods"), text))
    selector->matches({{"metadata", {{"name", "a"}}}});
  return 0;
}
