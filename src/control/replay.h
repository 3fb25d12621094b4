#pragma once

#include <istream>
#include <optional>
#include <string>

#include "base/error.h"

namespace berth::control {

/// Where a replayed decision was not the recorded one.
struct Difference {
  int line = 0;  ///< of the journal
  uint64_t plan = 0;
  std::string recorded;  ///< the first part that differs, as JSON
  std::string replayed;
};

struct ReplayReport {
  size_t events = 0;
  size_t plans = 0;
  std::string build;        ///< that wrote it
  uint64_t final_hash = 0;  ///< of the state at the end
  std::optional<Difference> first_difference;
};

/// Runs a journal segment through this build's decision code. Under the same build every plan is
/// the recorded one, byte for byte; `first_difference` says where it is not, and replay stops
/// there. Fails on a file that is not a journal, with the line. A last line that was cut off is
/// ignored.
Result<ReplayReport> replay(std::istream& journal);

}  // namespace berth::control
