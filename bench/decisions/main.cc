// Measures decisions: `bench_decisions PART [TRACES]` prints one JSON object. `bench/core` runs it.

#include <cstdio>
#include <cstring>

#include "bench/decisions/measure.h"

int main(int argc, char** argv) {
  using namespace berth::bench;  // NOLINT
  const std::string part = argc > 1 ? argv[1] : "";
  Measures measures;
  if (part == "placement" && argc > 2) {
    measures = placement(argv[2]);
  } else if (part == "gang") {
    measures = gang();
  } else if (part == "reclaim") {
    measures = reclaim();
  } else if (part == "memory") {
    measures = memory();
  } else {
    std::fprintf(stderr, "usage: bench_decisions placement TRACES | gang | reclaim | memory\n");
    return 2;
  }
  const char* separator = "{";
  for (const auto& [name, value] : measures) {
    std::printf("%s\"%s\": %.17g", separator, name.c_str(), value);
    separator = ", ";
  }
  std::printf("}\n");
  return measures.empty() ? 1 : 0;
}
