#pragma once

#include <cstdint>
#include <string_view>

namespace berth::core {

/// A hash that is the same on every machine: splitmix64's finaliser over words and bytes.
class Hash {
 public:
  constexpr Hash& add(uint64_t word) {
    value_ = mix(value_ ^ word) + 0x9e3779b97f4a7c15ull;
    return *this;
  }
  constexpr Hash& add(std::string_view text) {
    add(static_cast<uint64_t>(text.size()));
    uint64_t word = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      word = word << 8 | static_cast<unsigned char>(text[i]);
      if (i % 8 == 7) add(word), word = 0;
    }
    return add(word);
  }
  constexpr uint64_t value() const { return mix(value_); }

  static constexpr uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
  }

 private:
  uint64_t value_ = 0x2545f4914f6cdd1dull;
};

}  // namespace berth::core
