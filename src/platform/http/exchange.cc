#include "platform/http/exchange.h"

#include <utility>

#include <boost/asio/post.hpp>

namespace berth::platform {

ExchangeState::ExchangeState(boost::asio::any_io_executor strand, HttpRequest request)
    : strand_(std::move(strand)),
      request_(std::move(request)),
      changed_(strand_, boost::asio::steady_timer::time_point::max()) {}

void ExchangeState::notify() {
  boost::asio::post(strand_, [self = shared_from_this()] { self->changed_.cancel(); });
}

void ExchangeState::send(HttpResponse response) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || mode_ != Mode::kWaiting) return;
    response_ = std::move(response);
    mode_ = Mode::kWhole;
    finished_ = true;
  }
  notify();
}

void ExchangeState::begin(HttpResponse head) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || mode_ != Mode::kWaiting) return;
    response_ = std::move(head);
    mode_ = Mode::kParts;
  }
  notify();
}

size_t ExchangeState::write(std::string bytes) {
  size_t waiting = 0;
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || finished_ || mode_ != Mode::kParts) return 0;
    queue_ += bytes;
    waiting = queue_.size() + in_flight_;
  }
  notify();
  return waiting;
}

void ExchangeState::finish() {
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    on_close_ = nullptr;
    on_drain_ = nullptr;
  }
  notify();
}

void ExchangeState::abort() {
  {
    const std::lock_guard lock(mutex_);
    aborted_ = true;
  }
  notify();
}

void ExchangeState::on_drain(std::function<void()> callback) {
  const std::lock_guard lock(mutex_);
  if (!closed_ && !finished_) on_drain_ = std::move(callback);
}

void ExchangeState::on_close(std::function<void()> callback) {
  {
    const std::lock_guard lock(mutex_);
    if (finished_) return;
    if (!closed_) {
      on_close_ = std::move(callback);
      return;
    }
  }
  boost::asio::post(strand_, std::move(callback));
}

void ExchangeState::dropped() {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || finished_) return;
    if (mode_ == Mode::kWaiting) {
      mode_ = Mode::kWhole;
      response_ = HttpResponse{500, {}, "the request was not answered\n"};
      finished_ = true;
    } else {
      aborted_ = true;
    }
  }
  notify();
}

ExchangeState::Step ExchangeState::take() {
  const std::lock_guard lock(mutex_);
  Step step{mode_, finished_, aborted_, std::move(queue_)};
  queue_.clear();
  in_flight_ = step.bytes.size();
  return step;
}

HttpResponse ExchangeState::take_response() {
  const std::lock_guard lock(mutex_);
  return std::move(response_);
}

void ExchangeState::sent() {
  std::function<void()> drained;
  {
    const std::lock_guard lock(mutex_);
    in_flight_ = 0;
    if (queue_.empty()) drained = on_drain_;
  }
  if (drained) drained();
}

void ExchangeState::close() {
  std::function<void()> callback;
  std::function<void()> drain;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    queue_.clear();
    callback = std::exchange(on_close_, nullptr);
    drain = std::exchange(on_drain_, nullptr);  // it may hold its own exchange
  }
  if (callback) callback();
}

}  // namespace berth::platform
