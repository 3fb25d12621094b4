#include <sstream>
#include <string>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "control/event_json.h"
#include "control/replay.h"
#include "fuzz.h"

using namespace berth::control;

/// Any bytes as a journal: refused with the line, or replayed. An event or a plan that is read is
/// written as one that is read back the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string text(as_text(bytes, size));
  std::istringstream journal(text);
  replay(journal);

  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(text, error);
  if (error) return 0;
  if (const auto event = event_from_json(json)) {
    const auto written = to_json(*event);
    const auto again = event_from_json(written);
    FUZZ_CHECK(again && boost::json::serialize(to_json(*again)) == boost::json::serialize(written));
  }
  if (const auto plan = plan_from_json(json)) {
    const auto written = to_json(*plan);
    const auto again = plan_from_json(written);
    FUZZ_CHECK(again && boost::json::serialize(to_json(*again)) == boost::json::serialize(written));
  }
  return 0;
}
