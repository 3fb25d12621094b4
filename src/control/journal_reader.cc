#include "control/journal_reader.h"

#include <string>

#include <boost/json/parse.hpp>

#include "control/event_json.h"

namespace berth::control {
namespace {

using boost::json::value;

Result<SegmentHeader> header_of(const value& content, const std::string& where) {
  const boost::json::object* fields = content.if_object();
  const value* seed = fields == nullptr ? nullptr : fields->if_contains("seed");
  boost::system::error_code error;
  SegmentHeader header;
  if (seed != nullptr) header.seed = seed->to_number<uint64_t>(error);
  if (seed == nullptr || error)
    return fail(ErrorCode::kInvalid, "not the start of a journal segment", where);
  if (const value* build = fields->if_contains("build"); build != nullptr && build->is_string())
    header.build = build->get_string();
  return header;
}

}  // namespace

Result<> read_journal(std::istream& journal, const JournalHandlers& handlers) {
  bool begun = false;
  std::string text;
  for (int line = 1; std::getline(journal, text); ++line) {
    const std::string where = "line " + std::to_string(line);
    const bool cut_off = journal.eof();
    boost::system::error_code error;
    const value record = boost::json::parse(text, error);
    if (error && cut_off) break;
    if (error || !record.is_object() || record.get_object().size() != 1)
      return fail(ErrorCode::kInvalid, "not a line of a journal", where);
    const auto& [kind, content] = *record.get_object().begin();
    if (kind == "segment") {
      if (begun) return fail(ErrorCode::kInvalid, "not the start of a journal segment", where);
      BERTH_TRY(const SegmentHeader header, header_of(content, where));
      begun = true;
      handlers.segment(header);
      continue;
    }
    if (!begun)
      return fail(ErrorCode::kInvalid, "a journal starts with its segment line", where,
                  "name a file that `berth serve` wrote");
    if (kind == "snapshot") {
      auto event = event_from_json(content);
      if (!event) return fail(ErrorCode::kInvalid, event.error().what, where);
      handlers.snapshot(std::move(*event));
    } else if (kind == "events" && content.is_array()) {
      std::vector<core::Event> events;
      for (const value& item : content.get_array()) {
        auto event = event_from_json(item);
        if (!event) return fail(ErrorCode::kInvalid, event.error().what, where);
        events.push_back(std::move(*event));
      }
      handlers.events(std::move(events));
    } else if (kind == "plan") {
      auto plan = plan_from_json(content);
      if (!plan) return fail(ErrorCode::kInvalid, plan.error().what, where);
      BERTH_TRY(const bool go_on, handlers.plan(std::move(*plan), content, line));
      if (!go_on) return {};
    } else {
      return fail(ErrorCode::kInvalid, "not a line of a journal", where);
    }
  }
  if (!begun) return fail(ErrorCode::kInvalid, "an empty journal");
  return {};
}

}  // namespace berth::control
