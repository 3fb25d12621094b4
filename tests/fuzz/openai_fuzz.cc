#include <algorithm>
#include <string>

#include <boost/json/parse.hpp>

#include "fuzz.h"
#include "gateway/openai/request_scan.h"
#include "gateway/openai/sse_filter.h"
#include "gateway/openai/usage_scan.h"

using namespace berth::gateway;

namespace {

std::string filtered(SseFilter& filter, std::string_view stream, size_t step) {
  std::string out;
  const auto pass = [&out](std::string_view piece) { out += piece; };
  for (size_t at = 0; at < stream.size(); at += step) filter.feed(stream.substr(at, step), pass);
  filter.finish(pass);
  return out;
}

}  // namespace

/// What the gateway takes of a body is what any reader of JSON finds there, its own addition
/// changes nothing else, and a stream gives the same however it is cut.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text = as_text(bytes, size);
  if (const auto scan = scan_request(text)) {
    boost::json::parse_options options;
    options.max_depth = kMaxBodyDepth;
    const auto json = boost::json::parse({text.data(), text.size()}, {}, options);
    const auto& object = json.as_object();
    FUZZ_CHECK(object.at("model").as_string() == boost::json::string_view(scan->model));
    const auto* stream = object.if_contains("stream");
    FUZZ_CHECK(scan->stream == (stream != nullptr && stream->is_bool() && stream->as_bool()));
    FUZZ_CHECK(scan->input_tokens >= 0);
    const auto with = with_usage(text);
    FUZZ_CHECK(with && scan_request(*with)->include_usage);
    if (!scan->has_stream_options && object.if_contains("stream_options") == nullptr) {
      std::string inserted(text);
      inserted.insert(inserted.find('{') + 1, kUsageField);
      const auto again = scan_request(inserted);
      FUZZ_CHECK(again && again->include_usage && again->model == scan->model);
    }
  }
  scan_usage(text);

  SseFilter whole(true), cut(true);
  const std::string out = filtered(whole, text, std::max<size_t>(1, size));
  FUZZ_CHECK(out == filtered(cut, text, size > 0 ? 1 + bytes[0] % 16 : 1));
  FUZZ_CHECK(whole.events() == cut.events() && whole.usage() == cut.usage());
  FUZZ_CHECK(out.size() <= text.size());
  return 0;
}
