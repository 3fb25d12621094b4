#pragma once

#include <functional>
#include <istream>
#include <vector>

#include <boost/json/value.hpp>

#include "base/error.h"
#include "control/journal.h"
#include "core/model/event.h"

namespace berth::control {

/// What a segment holds, in its order. A handler that gives false ends the reading there.
struct JournalHandlers {
  std::function<void(const SegmentHeader&)> segment;
  std::function<void(core::Event)> snapshot;
  /// What came before the next plan.
  std::function<void(std::vector<core::Event>)> events;
  std::function<Result<bool>(core::Plan, const boost::json::value&, int line)> plan;
};

/// Reads one segment. Fails on what is not a journal, with the line. A last line that was cut off
/// is ignored.
Result<> read_journal(std::istream& journal, const JournalHandlers& handlers);

}  // namespace berth::control
