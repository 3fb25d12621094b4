#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/openai/usage_scan.h"

namespace berth::gateway {

/// Watches a stream of server-sent events go by: counts tokens, finds `usage` and `[DONE]`, and
/// takes out the event that only carries the usage which the gateway itself asked for. Everything
/// else is passed on as the bytes that came, whole events at a time.
class SseFilter {
 public:
  /// `strip_usage`: the client did not ask for usage.
  explicit SseFilter(bool strip_usage) : strip_usage_(strip_usage) {}

  /// `pass` gets bytes to send on, in order; they are good until it returns.
  void feed(std::string_view bytes, const std::function<void(std::string_view)>& pass);
  /// The stream ended: what has no blank line after it is passed on as it is.
  void finish(const std::function<void(std::string_view)>& pass);

  bool done() const { return done_; }  ///< `[DONE]` came
  /// Events with something in them: one a token, with the servers that there are.
  int64_t events() const { return events_; }
  const std::optional<Usage>& usage() const { return usage_; }

 private:
  /// False where the event is not to be passed on.
  bool observe(std::string_view event);

  /// Events longer than this are passed on unseen.
  static constexpr size_t kMaxEvent = size_t{256} << 10;

  const bool strip_usage_;
  bool done_ = false;
  bool unseen_ = false;  ///< inside an event that is too long
  int64_t events_ = 0;
  std::optional<Usage> usage_;
  std::string partial_;  ///< the beginning of an event
};

}  // namespace berth::gateway
