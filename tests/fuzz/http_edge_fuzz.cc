#include <algorithm>
#include <string>
#include <vector>

#include "fuzz.h"
#include "gateway/http/request_reader.h"
#include "gateway/http/response_reader.h"

using namespace berth::gateway;

namespace {

struct Read {
  std::vector<std::string> requests;
  int refusal = 0;
  bool operator==(const Read&) const = default;
};

/// The requests of a connection whose bytes come in steps.
Read read_requests(std::string_view bytes, size_t step) {
  RequestReader reader({.max_header_bytes = 1024, .max_body_bytes = 1024});
  Read read;
  std::string held;
  for (size_t at = 0; at < bytes.size(); at += step) {
    held.append(bytes.substr(at, step));
    for (;;) {
      held.erase(0, reader.feed(held));
      if (reader.state() == RequestReader::State::kRefused) {
        read.refusal = reader.refusal().status;
        return read;
      }
      if (reader.state() != RequestReader::State::kDone) break;
      const IncomingRequest& request = reader.request();
      FUZZ_CHECK(request.body.size() <= 1024);
      FUZZ_CHECK(request.target.starts_with('/'));
      FUZZ_CHECK(request.authorization.find('\n') == std::string::npos);
      read.requests.push_back(request.method + " " + request.target + "\n" + request.body);
      reader.reset();
      if (held.empty()) break;
    }
  }
  return read;
}

std::string read_answer(std::string_view bytes, size_t step) {
  ResponseReader reader;
  std::string held, body;
  for (size_t at = 0; at < bytes.size() && reader.good() && !reader.done(); at += step) {
    held.append(bytes.substr(at, step));
    held.erase(0, reader.feed(held, [&body](std::string_view piece) { body += piece; }));
  }
  reader.finish();
  return body;
}

}  // namespace

/// Where one request ends and the next begins does not depend on how the bytes came: two readers
/// that disagree on that are how requests are smuggled.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text = as_text(bytes, size);
  const size_t step = size > 0 ? 1 + bytes[size - 1] % 16 : 1;
  const Read whole = read_requests(text, std::max<size_t>(1, size));
  const Read cut = read_requests(text, step);
  FUZZ_CHECK(whole.requests == cut.requests);
  FUZZ_CHECK(read_answer(text, std::max<size_t>(1, size)) == read_answer(text, step));
  return 0;
}
