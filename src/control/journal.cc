#include "control/journal.h"

#include <boost/json/serialize.hpp>

#include "control/event_json.h"

namespace berth::control {

void Journal::append(const std::string& line) {
  if (sink_ == nullptr) return;
  written_ += line.size() + 1;
  sink_->append(line);
}

void Journal::begin_segment(const SegmentHeader& header, std::span<const core::Event> snapshot) {
  if (sink_ == nullptr) return;
  sink_->begin_segment();
  begun_ = true;
  written_ = 0;
  append(boost::json::serialize(
      boost::json::object{{"segment", boost::json::object{{"build", header.build},
                                                          {"seed", header.seed},
                                                          {"started", header.started.ns}}}}));
  for (const core::Event& event : snapshot)
    append(boost::json::serialize(boost::json::object{{"snapshot", to_json(event)}}));
  written_ = 0;
}

void Journal::events(std::span<const core::Event> events) {
  if (sink_ == nullptr || events.empty()) return;
  boost::json::array list;
  for (const core::Event& event : events) list.push_back(to_json(event));
  append(boost::json::serialize(boost::json::object{{"events", std::move(list)}}));
}

void Journal::plan(const core::Plan& plan) {
  if (sink_ == nullptr) return;
  append(boost::json::serialize(boost::json::object{{"plan", to_json(plan)}}));
}

}  // namespace berth::control
