#include <algorithm>
#include <array>
#include <utility>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include "gateway/proxy/client_connection.h"
#include "gateway/proxy/worker.h"

namespace berth::gateway {
namespace {

/// Output is charged to its tenant in steps of this many tokens while it comes.
constexpr int64_t kChargeStep = 16;

bool is_token_text(std::string_view text, size_t max) {
  return !text.empty() && text.size() <= max && std::ranges::all_of(text, [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  });
}

std::string_view to_string(core::Outcome outcome) {
  switch (outcome) {
    case core::Outcome::kAnswered:
      return "answered";
    case core::Outcome::kRefused:
      return "refused";
    case core::Outcome::kFailed:
      return "failed";
    case core::Outcome::kPassedError:
      return "passed_error";
    case core::Outcome::kCancelled:
      return "cancelled";
  }
  return {};
}

}  // namespace

std::string ClientConnection::request_id(uint64_t id) const {
  const std::string& given = reader_.request().request_id;
  if (is_token_text(given, 64)) return given;
  return fmt::format("berth-{:x}", id);
}

void ClientConnection::on_turn(const core::Dispatch& dispatch,
                               std::shared_ptr<const Upstream> upstream) {
  Exchange& exchange = *exchange_;
  exchange.dispatch = dispatch;
  exchange.upstream = std::move(upstream);
  ++exchange.attempts;
  const Time now = Worker::now();
  if (!exchange.queued) exchange.queued = now - exchange.arrived;
  state_ = State::kForwarding;
  // The replica went between its choice and now: it counts as one that did not answer.
  if (!exchange.upstream) return retry_or_fail();
  forward(false);
}

void ClientConnection::forward(bool fresh) {
  Exchange& exchange = *exchange_;
  const IncomingRequest& request = reader_.request();
  std::string_view body = request.body;
  std::string_view inserted, before;
  exchange.add_usage = exchange.scan.stream && !exchange.scan.include_usage &&
                       !request.target.starts_with("/v1/embeddings");
  if (exchange.add_usage) {
    if (exchange.scan.has_stream_options) {
      if (exchange.rewritten.empty()) exchange.rewritten = *with_usage(body);
      body = exchange.rewritten;
    } else {
      const size_t brace = body.find('{') + 1;
      before = body.substr(0, brace);
      inserted = kUsageField;
      body = body.substr(brace);
    }
  }
  const Upstream& upstream = *exchange.upstream;
  exchange.head.clear();
  fmt::format_to(std::back_inserter(exchange.head),
                 "POST {}{} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n"
                 "Content-Length: {}\r\nX-Request-Id: {}\r\n",
                 upstream.path, request.target, upstream.authority,
                 before.size() + inserted.size() + body.size(), request_id(exchange.id));
  if (is_token_text(request.trace, 64)) {
    exchange.head += "traceparent: ";
    exchange.head += request.trace;
    exchange.head += "\r\n";
  }
  exchange.head += "\r\n";
  exchange.sent = Worker::now();
  deadline_ = exchange.sent + shared_.settings.first_byte_timeout;
  exchange.connection = worker_.connection(exchange.upstream, fresh);
  exchange.connection->start(*this, {exchange.head, before, inserted, body});
}

void ClientConnection::on_head(const AnswerHead& head) {
  Exchange& exchange = *exchange_;
  exchange.answer = head;
  exchange.first_byte = exchange.last_byte = Worker::now();
  deadline_ = exchange.first_byte + shared_.settings.stream_timeout;
  if (head.status == 502 || head.status == 503) {
    exchange.connection->abandon();
    retry_or_fail();
    return;
  }
  if (head.status == 200 && head.content_type.starts_with("text/event-stream")) {
    state_ = State::kStreaming;
    stream_head_sent_ = false;
    exchange.filter.emplace(exchange.add_usage);
  }
}

void ClientConnection::on_body(std::string_view bytes) {
  Exchange& exchange = *exchange_;
  if (state_ != State::kStreaming) {
    if (exchange.answer_body.size() + bytes.size() > shared_.settings.max_answer_bytes) {
      exchange.connection->abandon();
      fail_exchange(core::Outcome::kFailed, upstream_cut(exchange.scan.model));
      return;
    }
    exchange.answer_body.append(bytes);
    return;
  }
  exchange.filter->feed(bytes, [this, bytes](std::string_view piece) {
    pieces_.push_back(piece);
    pieces_bytes_ += piece.size();
    // What the filter had kept is good for this call alone.
    const bool lasts = piece.data() >= bytes.data() && piece.data() < bytes.data() + bytes.size();
    if (!lasts) on_flush();
  });
}

void ClientConnection::on_flush() {
  if (state_ != State::kStreaming) return;
  Exchange& exchange = *exchange_;
  if (pieces_bytes_ == 0) return;
  exchange.last_byte = Worker::now();
  deadline_ = exchange.last_byte + shared_.settings.stream_timeout;
  fmt::memory_buffer head;
  const auto out = std::back_inserter(head);
  if (!std::exchange(stream_head_sent_, true))
    fmt::format_to(
        out,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
        "X-Request-Id: {}\r\n{}Transfer-Encoding: chunked\r\n\r\n",
        request_id(exchange.id), keep_alive_ && !draining_ ? "" : "Connection: close\r\n");
  // However many events were read at once, they go out as one chunk.
  fmt::format_to(out, "{:x}\r\n", std::exchange(pieces_bytes_, 0));
  pieces_.insert(pieces_.begin(), std::string_view(head.data(), head.size()));
  pieces_.emplace_back("\r\n");
  send(pieces_);
  pieces_.clear();
  charge_output();
}

void ClientConnection::charge_output() {
  Exchange& exchange = *exchange_;
  const int64_t uncharged = exchange.filter->events() - exchange.output_charged;
  if (uncharged < kChargeStep) return;
  exchange.output_charged += uncharged;
  shared_.traffic->on_output(*exchange.model, *exchange.tenant, uncharged);
}

void ClientConnection::on_end(UpstreamConnection::Ending ending) {
  using Ending = UpstreamConnection::Ending;
  const auto self = shared_from_this();
  Exchange& exchange = *exchange_;
  if (state_ == State::kStreaming) {
    const bool whole =
        ending == Ending::kComplete && (exchange.answer.explicit_end || exchange.filter->done());
    end_stream(whole);
    return;
  }
  switch (ending) {
    case Ending::kComplete:
      pass_whole_answer();
      break;
    case Ending::kUnreachable:
      if (exchange.connection->reused()) {
        forward(true);  // the server had just closed a kept connection: no fault of anybody
      } else {
        retry_or_fail();
      }
      break;
    case Ending::kCut:
      // Nothing was passed on, so that it may be asked again.
      retry_or_fail();
      break;
  }
}

void ClientConnection::retry_or_fail() {
  Exchange& exchange = *exchange_;
  shared_.suspect(exchange.model->name, exchange.dispatch.replica);
  exchange.connection = nullptr;
  exchange.answer = {};
  exchange.answer_body.clear();
  if (exchange.attempts >= shared_.settings.max_attempts) {
    fail_exchange(core::Outcome::kFailed, upstream_failed(exchange.scan.model));
    return;
  }
  state_ = State::kWaiting;
  deadline_ = Time{INT64_MAX};
  worker_.expect(exchange.id, *this, *exchange.model, *exchange.tenant);
  shared_.traffic->retry(*exchange.model, exchange.dispatch, Worker::now());
}

void ClientConnection::on_replica_down(std::string_view model, core::ReplicaId replica) {
  if (state_ != State::kForwarding || exchange_->dispatch.replica != replica ||
      exchange_->model->name != model)
    return;
  const auto self = shared_from_this();
  if (exchange_->connection) exchange_->connection->abandon();
  retry_or_fail();
}

void ClientConnection::on_refused(const core::Refusal& refusal) {
  fail_exchange(core::Outcome::kRefused, refused(refusal, exchange_->scan.model));
}

void ClientConnection::pass_whole_answer() {
  Exchange& exchange = *exchange_;
  const int status = exchange.answer.status;
  int retry_after_s = 0;
  if (!exchange.answer.retry_after.empty())
    retry_after_s = std::clamp(std::atoi(exchange.answer.retry_after.c_str()), 1, 3600);
  send_answer(
      status,
      exchange.answer.content_type.empty() ? "application/json" : exchange.answer.content_type,
      exchange.answer_body, retry_after_s);
  end_exchange(status < 400 ? core::Outcome::kAnswered : core::Outcome::kPassedError, status);
  finish_request();
}

void ClientConnection::end_stream(bool whole) {
  Exchange& exchange = *exchange_;
  exchange.connection = nullptr;
  const auto add = [this](std::string_view piece) {
    pieces_.push_back(piece);
    pieces_bytes_ += piece.size();
  };
  std::string error;
  if (whole) {
    exchange.filter->finish([&](std::string_view piece) {
      add(piece);
      on_flush();
    });
  } else {
    // The client has a part of the answer: what it gets now is the one error.
    error = "data: " + upstream_cut(exchange.scan.model).body() + "\n\n";
    add(error);
  }
  const bool nothing_sent = !stream_head_sent_;
  on_flush();
  if (nothing_sent && !stream_head_sent_) {
    send_answer(200, "text/event-stream", "");  // an empty stream
  } else {
    const std::string_view last = "0\r\n\r\n";
    send(std::span(&last, 1));
  }
  end_exchange(whole ? core::Outcome::kAnswered : core::Outcome::kFailed, whole ? 200 : 502);
  finish_request();
}

void ClientConnection::fail_exchange(core::Outcome outcome, const ApiError& error) {
  send_answer(error.status, "application/json", error.body(), error.retry_after_s);
  end_exchange(outcome, error.status);
  finish_request();
}

void ClientConnection::on_client_left() {
  if (!exchange_) return;
  Exchange& exchange = *exchange_;
  if (state_ == State::kWaiting) {
    const Traffic::End end{.outcome = core::Outcome::kCancelled,
                           .status = kClientLeft,
                           .use = {},
                           .queued = {},
                           .first_token = {},
                           .per_token = {},
                           .total = Worker::now() - exchange.arrived};
    const bool cancelled = shared_.traffic->cancel(*exchange.model, *exchange.tenant,
                                                   exchange.dispatch.request, end, Worker::now());
    worker_.forget(exchange.id, !cancelled);
    // Where its turn had come the worker ends it, the same way, once the word of it arrives.
    write_log(exchange, end.outcome, end.status, end.use, Worker::now());
    exchange_ = nullptr;
    return;
  }
  if (exchange.connection) exchange.connection->abandon();
  end_exchange(core::Outcome::kCancelled, kClientLeft);
}

core::TokenUse ClientConnection::token_use() const {
  const Exchange& exchange = *exchange_;
  if (exchange.attempts == 0) return {};  // it ran nowhere
  if (exchange.filter) {
    if (const auto& usage = exchange.filter->usage())
      return {usage->input_tokens, usage->output_tokens, false};
    return {exchange.scan.input_tokens, exchange.filter->events(), true};
  }
  if (exchange.answer.status != 200) return {};
  const auto scan = scan_usage(exchange.answer_body);
  if (scan && scan->usage) return {scan->usage->input_tokens, scan->usage->output_tokens, false};
  const int64_t text_bytes = scan ? scan->text_bytes : 0;
  return {exchange.scan.input_tokens, (text_bytes + kBytesPerToken - 1) / kBytesPerToken, true};
}

void ClientConnection::end_exchange(core::Outcome outcome, int status) {
  pieces_.clear();
  pieces_bytes_ = 0;
  deadline_ = Time{INT64_MAX};
  const Time now = Worker::now();
  Traffic::End end{.outcome = outcome,
                   .status = status,
                   .use = token_use(),
                   .queued = exchange_->queued,
                   .first_token = {},
                   .per_token = {},
                   .total = now - exchange_->arrived};
  const std::unique_ptr<Exchange> exchange = std::exchange(exchange_, nullptr);
  if (outcome == core::Outcome::kAnswered) {
    end.first_token = exchange->first_byte - exchange->arrived;
    if (exchange->filter && end.use.output_tokens > 1)
      end.per_token = (exchange->last_byte - exchange->first_byte) / (end.use.output_tokens - 1);
    end.streamed = exchange->filter.has_value();
    // One that was tried twice, or whose tokens are estimates, says little of its server.
    if (exchange->attempts == 1 && !end.use.counted)
      end.served = core::ServedRequest{
          .prompt_tokens = static_cast<int>(end.use.input_tokens),
          .output_tokens = static_cast<int>(end.use.output_tokens),
          .first_token_s = end.streamed ? (exchange->first_byte - exchange->sent).to_seconds() : -1,
          .total_s = ((end.streamed ? exchange->last_byte : now) - exchange->sent).to_seconds()};
  }
  write_log(*exchange, outcome, status, end.use, now);
  // What is refused runs nowhere, be it that it ran and waited again.
  if (outcome == core::Outcome::kRefused) {
    shared_.traffic->end_refused(*exchange->model, *exchange->tenant, end, now);
  } else {
    shared_.traffic->end(*exchange->model, *exchange->tenant, exchange->dispatch,
                         exchange->output_charged, end, now);
  }
}

void ClientConnection::write_log(const Exchange& exchange, core::Outcome outcome, int status,
                                 const core::TokenUse& use, Time now) {
  if (shared_.access_log < 0) return;
  const auto ms = [](Duration duration) { return duration.to_seconds() * 1000; };
  const std::string model =
      boost::json::serialize(boost::json::value(boost::json::string(exchange.scan.model)));
  const std::string_view target = reader_.request().target;
  const std::string_view path = target.substr(0, target.find('?'));
  std::string line = fmt::format(
      R"({{"time":"{}","request_id":"{}","tenant":"{}","key":"{}","model":{},"path":"{}","status":{},)"
      R"("outcome":"{}","attempts":{},"input_tokens":{},"output_tokens":{},"counted":{},)"
      R"("queue_ms":{:.3f},"ttft_ms":{:.3f},"duration_ms":{:.3f}}})",
      format_micro_time(shared_.clock->now()), request_id(exchange.id), exchange.tenant->name,
      exchange.key_id, model, path, status, to_string(outcome), exchange.attempts, use.input_tokens,
      use.output_tokens, use.counted, ms(exchange.queued.value_or(now - exchange.arrived)),
      exchange.first_byte.ns > 0 ? ms(exchange.first_byte - exchange.arrived) : 0.0,
      ms(now - exchange.arrived));
  line += '\n';
  worker_.log(line);
}

}  // namespace berth::gateway
