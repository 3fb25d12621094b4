#include "bridge/cost/resumed_watch.h"

#include <utility>

namespace berth::bridge {
namespace {

constexpr Duration kPause = Duration::seconds(1);

}  // namespace

ResumedWatch::ResumedWatch(client::ApiClient& client, platform::EventLoop& loop,
                           client::Resource resource, Handlers handlers)
    : client_(client),
      loop_(loop),
      collection_{.resource = std::move(resource), .ns = {}, .name = {}, .subresource = {}},
      handlers_(std::move(handlers)) {}

ResumedWatch::~ResumedWatch() {
  gate_->shut();
  watch_.reset();
  if (timer_ != 0) loop_.cancel(timer_);
}

void ResumedWatch::start(std::string cursor) {
  cursor_ = std::move(cursor);
  cursor_.empty() ? list() : watch();
}

std::function<void()> ResumedWatch::in_turn(std::function<void()> work) const {
  return [attempt = std::weak_ptr(attempt_), work = std::move(work)] {
    if (!attempt.expired()) work();
  };
}

void ResumedWatch::list() {
  attempt_ = std::make_shared<int>();
  client_.list(
      collection_, {},
      [this, gate = gate_, attempt = std::weak_ptr(attempt_)](Result<client::List> answer) {
        gate->pass([&] {
          loop_.post([this, attempt, answer = std::move(answer)] {
            if (attempt.expired()) return;
            if (!answer) return again(answer.error());
            cursor_ = answer->resource_version;
            handlers_.listed(*answer);
            watch();
          });
        });
      });
}

void ResumedWatch::watch() {
  attempt_ = std::make_shared<int>();
  client::WatchOptions options;
  options.resource_version = cursor_;
  // Posts of a watch that was stopped find its attempt over; the loop outlives the watch.
  const auto attempt = std::weak_ptr(attempt_);
  watch_ = client_.watch(
      collection_, options,
      [this, &loop = loop_, attempt](client::WatchEvent event) {
        loop.post([this, attempt, event = std::move(event)] {
          if (attempt.expired()) return;
          cursor_ = objects::find_string(*event.object, {"metadata", "resourceVersion"});
          if (event.type != client::WatchEvent::Type::kBookmark)
            handlers_.changed(event.object, event.type == client::WatchEvent::Type::kDeleted);
        });
      },
      [this, &loop = loop_, attempt](Result<> how) {
        loop.post([this, attempt, how = std::move(how)] {
          if (attempt.expired()) return;
          if (how) return watch();
          if (how.error().code == ErrorCode::kGone) return list();
          again(how.error());
        });
      });
}

void ResumedWatch::again(const Error& why) {
  watch_.reset();
  attempt_ = std::make_shared<int>();
  handlers_.failed(why);
  timer_ = loop_.after(kPause, in_turn([this] {
                         timer_ = 0;
                         cursor_.empty() ? list() : watch();
                       }));
}

}  // namespace berth::bridge
