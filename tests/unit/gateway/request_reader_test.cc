#include "gateway/http/request_reader.h"

#include <gtest/gtest.h>

namespace berth::gateway {
namespace {

/// 0 when it was read whole, -1 when more is needed, else the refusal's status.
int read(std::string_view bytes, size_t step = 1000, RequestLimits limits = {}) {
  RequestReader reader(limits);
  std::string held;
  for (size_t at = 0; at < bytes.size(); at += step) {
    held.append(bytes.substr(at, step));
    held.erase(0, reader.feed(held));
    if (reader.state() == RequestReader::State::kDone) return 0;
    if (reader.state() == RequestReader::State::kRefused) return reader.refusal().status;
  }
  return -1;
}

TEST(RequestReader, ReadsARequestHoweverItIsCut) {
  const std::string_view request =
      "POST /v1/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k\r\n"
      "Content-Length: 5\r\n\r\nhelloGET ";
  for (size_t step = 1; step <= request.size(); ++step) {
    RequestReader reader({});
    std::string held;
    for (size_t at = 0; at < request.size() && reader.state() != RequestReader::State::kDone;
         at += step) {
      held.append(request.substr(at, step));
      held.erase(0, reader.feed(held));
    }
    ASSERT_EQ(reader.state(), RequestReader::State::kDone) << step;
    EXPECT_EQ(reader.request().method, "POST");
    EXPECT_EQ(reader.request().target, "/v1/completions");
    EXPECT_EQ(reader.request().authorization, "Bearer k");
    EXPECT_EQ(reader.request().body, "hello");
    EXPECT_TRUE(std::string_view("GET ").starts_with(held)) << "the next request stays";
  }
}

TEST(RequestReader, ReadsChunks) {
  RequestReader reader({});
  reader.feed(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  ASSERT_EQ(reader.state(), RequestReader::State::kDone);
  EXPECT_EQ(reader.request().body, "abcde");
}

TEST(RequestReader, ReadsALastChunkThatComesAByteAtATime) {
  for (const char* chunks : {"0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "0\r\nX: a\r\n\r\n"})
    for (size_t step = 1; step < 8; ++step)
      EXPECT_EQ(
          read(std::string("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") +
                   chunks,
               step),
          0)
          << chunks << step;
}

TEST(RequestReader, RefusesWhatSmugglersSend) {
  const std::string start = "POST / HTTP/1.1\r\nHost: a\r\n";
  for (const char* fields : {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                             "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
                             "Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
                             "Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
                             "Content-Length: +3\r\n\r\n",
                             "Content-Length: 3, 3\r\n\r\n",
                             "Content-Length: 0x3\r\n\r\n",
                             "Content-Length: -1\r\n\r\n",
                             "Content-Length : 3\r\n\r\n",
                             "Transfer-Encoding: xchunked\r\n\r\n",
                             "Transfer-Encoding: chunked, identity\r\n\r\n",
                             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                             "Transfer-Encoding: gzip, chunked\r\n\r\n",
                             "Host: b\r\n\r\n",
                             "X: a\r\n folded\r\n\r\n",
                             "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
                             "X:\r\n\t\r\n\r\n",
                             "X: a\r\n \r\n\r\n",
                             "X: a\n\n",
                             "X\r\n\r\n",
                             "Transfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n",
                             "Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n",
                             "Upgrade: h2c\r\n\r\n",
                             "Content-Length: 99999999999999999999\r\n\r\n"})
    EXPECT_GE(read(start + fields), 400) << fields;
  EXPECT_GE(read("POST / HTTP/1.1\r\n\r\n"), 400) << "no Host";
  EXPECT_GE(read("GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_GE(read("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
  EXPECT_GE(read("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 400);
  EXPECT_GE(read("nonsense\r\n\r\n"), 400);
}

TEST(RequestReader, KeepsItsLimits) {
  const RequestLimits limits{.max_header_bytes = 1000, .max_body_bytes = 100};
  const std::string large_head = "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(2000, 'x');
  EXPECT_EQ(read(large_head, 100, limits), 431);
  EXPECT_EQ(read("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", 1000, limits), 413);
  const std::string chunk = "40\r\n" + std::string(0x40, 'x') + "\r\n";
  EXPECT_EQ(read("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + chunk,
                 50, limits),
            413);
}

}  // namespace
}  // namespace berth::gateway
