#include "gateway/proxy/prober.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include "gateway/proxy/upstream_connection.h"

namespace berth::gateway {

namespace asio = boost::asio;

namespace {

constexpr auto kTick = std::chrono::milliseconds(25);
constexpr Duration kMissing = Duration::milliseconds(500);
constexpr Duration kReady = Duration::seconds(2);
constexpr Duration kTimeout = Duration::seconds(2);
/// Of the first check of one that requests wait for: it may have come before the server listened.
constexpr Duration kFirstTimeout = Duration::milliseconds(250);
constexpr int kFailures = 3;

}  // namespace

/// The checks of one replica.
class Prober::Probe final : public UpstreamConnection::Owner {
 public:
  Probe(Prober& prober, std::string model, core::ReplicaId replica,
        std::shared_ptr<const Upstream> upstream)
      : prober_(prober),
        model_(std::move(model)),
        replica_(replica),
        upstream_(std::move(upstream)),
        request_(fmt::format(
            "GET {}{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", upstream_->path,
            upstream_->health_path.empty() ? prober.health_path_ : upstream_->health_path,
            upstream_->authority)) {}
  ~Probe() override {
    if (connection_) connection_->abandon();
  }

  bool is(std::string_view model, core::ReplicaId replica) const {
    return model_ == model && replica_ == replica;
  }

  void on_suspect() {
    ready_ = false;
    next_ = Time{};
  }

  void on_tick(Time now) {
    if (connection_) {
      if (now < deadline_) return;
      connection_->abandon();
      patience_ = std::min(patience_ * 2, kTimeout);
      on_result(false);
    }
    const bool wanted = !ready_ && prober_.traffic_.waits_for_start(model_);
    if (!wanted && now < next_) return;
    next_ = now + (ready_ ? kReady : kMissing);
    deadline_ = now + (wanted ? patience_ : kTimeout);
    status_ = 0;
    connection_ = prober_.worker_.connection(upstream_, true);
    connection_->start(*this, {request_, "", "", ""});
  }

 private:
  void on_head(const AnswerHead& head) override { status_ = head.status; }
  void on_body(std::string_view) override {}
  void on_flush() override {}
  void on_end(UpstreamConnection::Ending) override {
    patience_ = kFirstTimeout;
    on_result(status_ >= 200 && status_ < 500);
  }

  void on_result(bool well) {
    connection_ = nullptr;
    if (well) {
      failures_ = 0;
      if (std::exchange(ready_, true)) return;
      prober_.traffic_.set_ready(model_, replica_, true, Worker::now());
      return;
    }
    if (!ready_ || ++failures_ < kFailures) return;
    ready_ = false;
    prober_.traffic_.set_ready(model_, replica_, false, Worker::now());
    prober_.on_down_(model_, replica_);
  }

  Prober& prober_;
  const std::string model_;
  const core::ReplicaId replica_;
  const std::shared_ptr<const Upstream> upstream_;
  const std::string request_;
  std::shared_ptr<UpstreamConnection> connection_;
  Time next_, deadline_;
  Duration patience_ = kFirstTimeout;
  int status_ = 0;
  int failures_ = 0;
  bool ready_ = false;
};

Prober::Prober(Worker& worker, Traffic& traffic, std::string health_path, OnDown on_down)
    : worker_(worker),
      traffic_(traffic),
      health_path_(std::move(health_path)),
      on_down_(std::move(on_down)),
      timer_(worker.io()) {
  asio::post(worker_.io(), [this] { schedule(); });
}

Prober::~Prober() {
  std::promise<void> gone;
  asio::post(worker_.io(), [this, &gone] {
    timer_.cancel();
    probes_.clear();
    alive_.reset();
    gone.set_value();
  });
  gone.get_future().wait();
}

void Prober::watch(std::string model, core::ReplicaId replica,
                   std::shared_ptr<const Upstream> upstream) {
  asio::post(worker_.io(),
             [this, model = std::move(model), replica, upstream = std::move(upstream)]() mutable {
               probes_.push_back(
                   std::make_shared<Probe>(*this, std::move(model), replica, std::move(upstream)));
               probes_.back()->on_tick(Worker::now());
             });
}

void Prober::forget(std::string model, core::ReplicaId replica) {
  asio::post(worker_.io(), [this, model = std::move(model), replica] {
    std::erase_if(probes_, [&](const auto& probe) { return probe->is(model, replica); });
  });
}

void Prober::suspect(const std::string& model, core::ReplicaId replica) {
  traffic_.set_ready(model, replica, false, Worker::now());
  asio::post(worker_.io(), [this, model, replica] {
    for (const auto& probe : probes_)
      if (probe->is(model, replica)) probe->on_suspect();
  });
}

void Prober::schedule() {
  timer_.expires_after(kTick);
  timer_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
    if (error || alive.expired()) return;
    tick();
    schedule();
  });
}

void Prober::tick() {
  const Time now = Worker::now();
  const auto probes = probes_;
  for (const auto& probe : probes) probe->on_tick(now);
}

}  // namespace berth::gateway
