#include "apiserver/http/streams.h"

#include <utility>

#include "objects/json_text.h"

namespace berth::apiserver {
namespace {

/// A watcher that reads so slowly that more than this waits for it is cut off; it resumes from the
/// history.
constexpr size_t kMaxWaiting = size_t{32} << 20;
constexpr size_t kLogHighWater = size_t{256} << 10;
constexpr Duration kBookmarkEvery = Duration::seconds(60);

}  // namespace

/// Everything but `stop` and the exchange's callbacks runs on the store's event loop.
class WatchStream final : public Streams::Stream, public std::enable_shared_from_this<WatchStream> {
 public:
  WatchStream(Streams& streams, std::shared_ptr<platform::HttpExchange> exchange,
              const Streams::WatchOptions& options, const Presenter& presenter)
      : streams_(streams),
        exchange_(std::move(exchange)),
        options_(options),
        presenter_(presenter),
        initial_done_(!options.request.initial_events) {}

  Answer<> start(const Subject& subject) {
    const std::weak_ptr<WatchStream> weak = weak_from_this();
    const std::lock_guard starting(starting_);  // events wait until the response has begun
    auto subscription =
        streams_.api_.watch(subject, options_.request, [weak](const ObjectsApi::Event& event) {
          if (const auto self = weak.lock()) self->tell(event);
        });
    if (!subscription) return std::unexpected(std::move(subscription).error());
    platform::HttpResponse head;
    head.headers.add("Content-Type", "application/json");
    head.headers.add("Cache-Control", "no-cache, private");
    exchange_->begin(std::move(head));
    {
      const std::lock_guard lock(mutex_);
      subscription_ = *std::move(subscription);
    }
    streams_.api_.store().events().post([self = shared_from_this()] { self->begin_timers(); });
    exchange_->on_close([weak] {
      if (const auto self = weak.lock()) self->stop();
    });
    return {};
  }

  void stop() override {
    std::unique_ptr<Store::Subscription> subscription;
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(stopped_, true)) return;
      subscription = std::move(subscription_);
    }
    subscription.reset();
    exchange_->finish();
    auto& loop = streams_.api_.store().events();
    loop.post([self = shared_from_this(), &loop] {
      loop.cancel(self->timeout_timer_);
      loop.cancel(self->bookmark_timer_);
    });
    streams_.drop(shared_from_this());
  }

 private:
  void tell(const ObjectsApi::Event& event) {
    const std::lock_guard started(starting_);
    if (event.type == client::WatchEvent::Type::kBookmark) {
      initial_done_ = true;
      // What the client did not ask for it would not understand.
      if (!options_.bookmarks && !event.end_of_initial) return;
    }
    send(event);
  }

  void send(const ObjectsApi::Event& event) {
    const size_t waiting = exchange_->write(presenter_.event(event, first_));
    first_ = false;
    if (waiting > kMaxWaiting) exchange_->abort();
  }

  void begin_timers() {
    auto& loop = streams_.api_.store().events();
    const std::weak_ptr<WatchStream> weak = weak_from_this();
    timeout_timer_ = loop.after(options_.timeout, [weak] {
      if (const auto self = weak.lock()) self->expire();
    });
    if (options_.bookmarks) arm_bookmark();
  }

  void arm_bookmark() {
    const std::weak_ptr<WatchStream> weak = weak_from_this();
    bookmark_timer_ = streams_.api_.store().events().after(kBookmarkEvery, [weak] {
      if (const auto self = weak.lock()) {
        self->mark();
        self->arm_bookmark();
      }
    });
  }

  /// All changes up to a revision that is shown are on the loop already: behind them is the place
  /// of its bookmark.
  void mark() {
    if (!initial_done_) return;
    Store& store = streams_.api_.store();
    store.events().post([self = shared_from_this(), revision = store.revision()] {
      self->send({client::WatchEvent::Type::kBookmark, nullptr, revision, false});
    });
  }

  void expire() {
    if (options_.bookmarks) mark();
    streams_.api_.store().events().post([self = shared_from_this()] { self->stop(); });
  }

  Streams& streams_;
  const std::shared_ptr<platform::HttpExchange> exchange_;
  const Streams::WatchOptions options_;
  const Presenter presenter_;
  bool initial_done_;
  bool first_ = true;
  platform::EventLoop::TimerId timeout_timer_ = 0;
  platform::EventLoop::TimerId bookmark_timer_ = 0;

  std::mutex starting_;
  std::mutex mutex_;  ///< guards the following
  std::unique_ptr<Store::Subscription> subscription_;
  bool stopped_ = false;
};

class LogStreamToHttp final : public Streams::Stream,
                              public LogSink,
                              public std::enable_shared_from_this<LogStreamToHttp> {
 public:
  LogStreamToHttp(Streams& streams, std::shared_ptr<platform::HttpExchange> exchange)
      : streams_(streams), exchange_(std::move(exchange)) {}

  void start(LogSource& source, LogRequest request) {
    auto opened = source.open(std::move(request), shared_from_this());
    if (!opened) {
      const Status status = from_error(opened.error()).error();
      exchange_->send(status_response(status));  // does nothing where bytes came before
      return stop();
    }
    begin();
    const std::weak_ptr<LogStreamToHttp> weak = weak_from_this();
    {
      const std::lock_guard lock(mutex_);
      if (!stopped_) stream_ = *std::move(opened);
    }
    exchange_->on_drain([weak] {
      const auto self = weak.lock();
      if (!self) return;
      const std::lock_guard lock(self->mutex_);
      if (self->full_ && self->stream_) {
        self->full_ = false;
        self->stream_->resume();
      }
    });
    exchange_->on_close([weak] {
      if (const auto self = weak.lock()) self->stop();
    });
  }

  bool write(std::string bytes) override {
    begin();
    const std::lock_guard lock(mutex_);
    full_ = exchange_->write(std::move(bytes)) >= kLogHighWater;
    return !full_;
  }

  void end(Result<> how) override {
    begin();
    if (how) {
      exchange_->finish();
    } else {
      exchange_->abort();
    }
    // Not from here: this runs inside the stream that `stop` destroys.
    streams_.api_.store().events().post([self = shared_from_this()] { self->stop(); });
  }

  void stop() override {
    std::unique_ptr<LogStream> stream;
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(stopped_, true)) return;
      stream = std::move(stream_);
    }
    stream.reset();
    exchange_->finish();
    streams_.drop(shared_from_this());
  }

 private:
  void begin() {
    // Under the lock: who comes second must find the response begun.
    const std::lock_guard lock(mutex_);
    if (std::exchange(begun_, true)) return;
    platform::HttpResponse head;
    head.headers.add("Content-Type", "text/plain");
    head.headers.add("Cache-Control", "no-cache, private");
    exchange_->begin(std::move(head));
  }

  Streams& streams_;
  const std::shared_ptr<platform::HttpExchange> exchange_;
  std::mutex mutex_;  ///< guards the following
  std::unique_ptr<LogStream> stream_;
  bool begun_ = false;
  bool full_ = false;
  bool stopped_ = false;
};

void Streams::watch(const std::shared_ptr<platform::HttpExchange>& exchange, const Subject& subject,
                    const WatchOptions& options, const Presenter& presenter) {
  auto stream = std::make_shared<WatchStream>(*this, exchange, options, presenter);
  add(stream);
  if (const auto started = stream->start(subject); !started) {
    exchange->send(status_response(started.error()));
    stream->stop();
  }
}

void Streams::log(std::shared_ptr<platform::HttpExchange> exchange, LogSource& source,
                  LogRequest request) {
  auto stream = std::make_shared<LogStreamToHttp>(*this, std::move(exchange));
  add(stream);
  stream->start(source, std::move(request));
}

void Streams::add(const std::shared_ptr<Stream>& stream) {
  const std::lock_guard lock(mutex_);
  open_.insert(stream);
}

void Streams::drop(const std::shared_ptr<Stream>& stream) {
  const std::lock_guard lock(mutex_);
  open_.erase(stream);
}

void Streams::stop_all() {
  std::set<std::shared_ptr<Stream>> open;
  {
    const std::lock_guard lock(mutex_);
    open = std::move(open_);
    open_.clear();
  }
  for (const auto& stream : open) stream->stop();
}

}  // namespace berth::apiserver
