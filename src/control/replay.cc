#include "control/replay.h"

#include <memory>

#include <boost/json/serialize.hpp>

#include "control/cycle.h"
#include "control/event_json.h"
#include "control/journal_reader.h"

namespace berth::control {
namespace {

using boost::json::value;

/// The innermost value in which two documents differ, with its path.
void first_difference(const value& a, const value& b, const std::string& path, Difference& out) {
  if (a.is_object() && b.is_object()) {
    for (const auto& [key, x] : a.get_object()) {
      const value* y = b.get_object().if_contains(key);
      const std::string inner = path + "." + std::string(key);
      if (y == nullptr) {
        out.recorded = inner + ": " + boost::json::serialize(x);
        out.replayed = inner + ": nothing";
        return;
      }
      if (x != *y) return first_difference(x, *y, inner, out);
    }
    for (const auto& [key, y] : b.get_object())
      if (!a.get_object().contains(key)) {
        out.recorded = path + "." + std::string(key) + ": nothing";
        out.replayed = path + "." + std::string(key) + ": " + boost::json::serialize(y);
        return;
      }
  }
  if (a.is_array() && b.is_array()) {
    const auto& x = a.get_array();
    const auto& y = b.get_array();
    for (size_t i = 0; i < std::max(x.size(), y.size()); ++i) {
      const std::string inner = path + "[" + std::to_string(i) + "]";
      if (i < x.size() && i < y.size()) {
        if (x[i] != y[i]) return first_difference(x[i], y[i], inner, out);
        continue;
      }
      out.recorded = inner + ": " + (i < x.size() ? boost::json::serialize(x[i]) : "nothing");
      out.replayed = inner + ": " + (i < y.size() ? boost::json::serialize(y[i]) : "nothing");
      return;
    }
  }
  out.recorded = path + ": " + boost::json::serialize(a);
  out.replayed = path + ": " + boost::json::serialize(b);
}

}  // namespace

Result<ReplayReport> replay(std::istream& journal) {
  ReplayReport report;
  core::State state;
  std::unique_ptr<core::Placer> placer;
  std::string placer_profile;
  uint64_t seed = 0;
  JournalHandlers handlers;
  handlers.segment = [&](const SegmentHeader& header) {
    seed = header.seed;
    report.build = header.build;
  };
  handlers.snapshot = [&](const core::Event& event) { state.apply(event); };
  handlers.events = [&](const std::vector<core::Event>& events) {
    for (const core::Event& event : events) state.apply(event);
    report.events += events.size();
  };
  handlers.plan = [&](const core::Plan& recorded, const value& content, int line) -> Result<bool> {
    if (placer == nullptr || placer_profile != state.policy().profile) {
      placer_profile = state.policy().profile;
      placer = core::make_placer(placer_profile, seed);
      if (placer == nullptr)
        return fail(ErrorCode::kInvalid, "no placement profile `" + placer_profile + "`",
                    "line " + std::to_string(line), "replay it with the build that wrote it");
    }
    const core::Plan replayed = decide(state, *placer, recorded.id);
    ++report.plans;
    if (!(replayed == recorded)) {
      Difference difference{line, recorded.id, {}, {}};
      first_difference(content, to_json(replayed), "plan", difference);
      report.first_difference = std::move(difference);
      return false;
    }
    state.commit(recorded.id, recorded.actions);
    return true;
  };
  BERTH_CHECK(read_journal(journal, handlers));
  report.final_hash = state.hash();
  return report;
}

}  // namespace berth::control
