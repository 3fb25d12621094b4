#include "control/replay.h"

#include <memory>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "control/cycle.h"
#include "control/event_json.h"

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
  bool begun = false;
  const auto at = [](int line) { return "line " + std::to_string(line); };

  std::string text;
  for (int line = 1; std::getline(journal, text); ++line) {
    const bool cut_off = journal.eof();
    boost::system::error_code error;
    const value record = boost::json::parse(text, error);
    if (error && cut_off) break;
    if (error || !record.is_object() || record.get_object().size() != 1)
      return fail(ErrorCode::kInvalid, "not a line of a journal", at(line));
    const auto& [kind, content] = *record.get_object().begin();

    if (kind == "segment") {
      const boost::json::object* header = content.if_object();
      if (begun || header == nullptr || !header->contains("seed"))
        return fail(ErrorCode::kInvalid, "not the start of a journal segment", at(line));
      begun = true;
      seed = header->at("seed").to_number<uint64_t>(error);
      if (const value* build = header->if_contains("build"); build != nullptr && build->is_string())
        report.build = build->get_string();
      continue;
    }
    if (!begun)
      return fail(ErrorCode::kInvalid, "a journal starts with its segment line", at(line),
                  "name a file that `berth serve` wrote");
    if (kind == "snapshot") {
      auto event = event_from_json(content);
      if (!event) return fail(ErrorCode::kInvalid, event.error().what, at(line));
      state.apply(*event);
    } else if (kind == "events" && content.is_array()) {
      for (const value& item : content.get_array()) {
        auto event = event_from_json(item);
        if (!event) return fail(ErrorCode::kInvalid, event.error().what, at(line));
        state.apply(*event);
        ++report.events;
      }
    } else if (kind == "plan") {
      auto recorded = plan_from_json(content);
      if (!recorded) return fail(ErrorCode::kInvalid, recorded.error().what, at(line));
      if (placer == nullptr || placer_profile != state.policy().profile) {
        placer_profile = state.policy().profile;
        placer = core::make_placer(placer_profile, seed);
        if (placer == nullptr)
          return fail(ErrorCode::kInvalid, "no placement profile `" + placer_profile + "`",
                      at(line), "replay it with the build that wrote it");
      }
      const core::Plan replayed = decide(state, *placer, recorded->id);
      ++report.plans;
      if (!(replayed == *recorded)) {
        Difference difference{line, recorded->id, {}, {}};
        first_difference(content, to_json(replayed), "plan", difference);
        report.first_difference = std::move(difference);
        break;
      }
      state.commit(recorded->id, recorded->actions);
    } else {
      return fail(ErrorCode::kInvalid, "not a line of a journal", at(line));
    }
  }
  if (!begun) return fail(ErrorCode::kInvalid, "an empty journal");
  report.final_hash = state.hash();
  return report;
}

}  // namespace berth::control
