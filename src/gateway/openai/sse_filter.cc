#include "gateway/openai/sse_filter.h"

#include <cstring>
#include <utility>

namespace berth::gateway {
namespace {

/// Just after the blank line that ends the first event, or npos. Lines end with LF or CRLF. The
/// search for the line's end begins at `from`.
size_t event_end(std::string_view text, size_t from) {
  for (size_t newline = text.find('\n', from); newline != std::string_view::npos;
       newline = text.find('\n', newline + 1)) {
    const size_t next = newline + 1;
    if (next < text.size() && text[next] == '\n') return next + 1;
    if (next + 1 < text.size() && text[next] == '\r' && text[next + 1] == '\n') return next + 2;
  }
  return std::string_view::npos;
}

bool contains(std::string_view text, std::string_view part) {
  return memmem(text.data(), text.size(), part.data(), part.size()) != nullptr;
}

}  // namespace

bool SseFilter::observe(std::string_view event) {
  // With several `data` lines an event's data is their sum; no server here sends such.
  if (!event.starts_with("data:")) return true;
  std::string_view payload = event.substr(5);
  while (!payload.empty() && (payload.back() == '\n' || payload.back() == '\r'))
    payload.remove_suffix(1);
  while (!payload.empty() && payload.front() == ' ') payload.remove_prefix(1);
  if (payload == "[DONE]") {
    done_ = true;
    return true;
  }
  if (contains(payload, "\"usage\"")) {
    if (const auto scan = scan_usage(payload); scan && scan->usage) {
      usage_ = scan->usage;
      if (scan->empty_choices) return !strip_usage_;
    }
  }
  ++events_;
  return true;
}

void SseFilter::feed(std::string_view bytes, const std::function<void(std::string_view)>& pass) {
  while (!partial_.empty() || unseen_) {
    const size_t before = partial_.size();
    // The blank line may have begun in what came before.
    const size_t look_back = before > 3 ? before - 3 : 0;
    partial_.append(bytes);
    const size_t end = event_end(partial_, look_back);
    if (end == std::string::npos) {
      if (unseen_ || partial_.size() > kMaxEvent) {
        // The last bytes stay, as a blank line may begin in them.
        unseen_ = true;
        const size_t keep = std::min<size_t>(3, partial_.size());
        pass(std::string_view(partial_).substr(0, partial_.size() - keep));
        partial_.erase(0, partial_.size() - keep);
      }
      return;
    }
    bytes.remove_prefix(end - before);
    const std::string_view event(partial_.data(), end);
    if (std::exchange(unseen_, false) || observe(event)) pass(event);
    partial_.clear();
    if (partial_.capacity() > 4096) partial_.shrink_to_fit();
  }

  size_t kept = 0;  // of `bytes`, up to here everything was passed on or taken out
  size_t at = 0;
  for (size_t end; (end = event_end(bytes, at)) != std::string_view::npos; at = end) {
    if (observe(bytes.substr(at, end - at))) continue;
    if (at > kept) pass(bytes.substr(kept, at - kept));
    kept = end;
  }
  if (at > kept) pass(bytes.substr(kept, at - kept));
  partial_.assign(bytes.substr(at));
}

void SseFilter::finish(const std::function<void(std::string_view)>& pass) {
  if (partial_.empty()) return;
  if (unseen_ || observe(partial_)) pass(partial_);
  partial_.clear();
}

}  // namespace berth::gateway
