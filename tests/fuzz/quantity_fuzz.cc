#include "base/quantity.h"
#include "base/time.h"
#include "fuzz.h"

using namespace berth;

/// Canonical text keeps the value; times and durations are read without a fault.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text = as_text(bytes, size);
  if (const auto quantity = Quantity::parse(text)) {
    const auto again = Quantity::parse(quantity->to_string());
    FUZZ_CHECK(again && *again == *quantity);
    FUZZ_CHECK(again->to_string() == quantity->to_string());
  }
  if (const auto time = parse_time(text)) FUZZ_CHECK(parse_time(format_micro_time(*time)));
  if (const auto duration = parse_duration(text))
    FUZZ_CHECK(parse_duration(format_duration(*duration)));
  return 0;
}
