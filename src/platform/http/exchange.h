#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "platform/http/server.h"

namespace berth::platform {

/// What passes between a handler, on any thread, and the connection on its strand. For `server.cc`
/// alone.
class ExchangeState : public std::enable_shared_from_this<ExchangeState> {
 public:
  enum class Mode { kWaiting, kWhole, kParts };
  struct Step {
    Mode mode = Mode::kWaiting;
    bool finished = false;
    bool aborted = false;
    std::string bytes;  ///< to be sent now
  };

  ExchangeState(boost::asio::any_io_executor strand, HttpRequest request);

  const HttpRequest& request() const { return request_; }

  // For the handler.
  void send(HttpResponse response);
  void begin(HttpResponse head);
  size_t write(std::string bytes);
  void finish();
  void abort();
  void on_drain(std::function<void()> callback);
  void on_close(std::function<void()> callback);
  /// The handler let go of its end.
  void dropped();

  // For the connection, on its strand.
  boost::asio::steady_timer& changed() { return changed_; }
  Step take();
  HttpResponse take_response();
  /// The bytes that `take` gave were sent.
  void sent();
  /// Nothing can be sent any more.
  void close();

 private:
  void notify();

  const boost::asio::any_io_executor strand_;
  const HttpRequest request_;
  boost::asio::steady_timer changed_;

  std::mutex mutex_;
  Mode mode_ = Mode::kWaiting;
  HttpResponse response_;
  std::string queue_;
  size_t in_flight_ = 0;
  bool finished_ = false;
  bool aborted_ = false;
  bool closed_ = false;
  std::function<void()> on_drain_;
  std::function<void()> on_close_;
};

/// The handler's end of an ExchangeState.
class ExchangeHandle final : public HttpExchange {
 public:
  explicit ExchangeHandle(std::shared_ptr<ExchangeState> state) : state_(std::move(state)) {}
  ~ExchangeHandle() override { state_->dropped(); }

  const HttpRequest& request() const override { return state_->request(); }
  void send(HttpResponse response) override { state_->send(std::move(response)); }
  void begin(HttpResponse head) override { state_->begin(std::move(head)); }
  size_t write(std::string bytes) override { return state_->write(std::move(bytes)); }
  void finish() override { state_->finish(); }
  void abort() override { state_->abort(); }
  void on_drain(std::function<void()> callback) override { state_->on_drain(std::move(callback)); }
  void on_close(std::function<void()> callback) override { state_->on_close(std::move(callback)); }

 private:
  const std::shared_ptr<ExchangeState> state_;
};

}  // namespace berth::platform
