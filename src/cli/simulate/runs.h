#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace berth::cli {

/// `42..51` or `1,2,3`.
Result<std::vector<uint64_t>> parse_seeds(const std::string& text);

/// Measures how long this machine takes.
class Stopwatch final : public Clock {
 public:
  Time now() const override;
};

}  // namespace berth::cli
