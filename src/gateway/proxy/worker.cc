#include "gateway/proxy/worker.h"

#include <chrono>
#include <utility>

#include <unistd.h>

#include "gateway/proxy/client_connection.h"
#include "gateway/proxy/upstream_connection.h"

namespace berth::gateway {
namespace {

namespace asio = boost::asio;

constexpr size_t kBufferBytes = size_t{64} << 10;
constexpr size_t kLogBytes = size_t{32} << 10;
constexpr auto kTick = std::chrono::milliseconds(100);
constexpr Duration kKeptFor = Duration::seconds(30);
constexpr size_t kKeptPerUpstream = 1024;

}  // namespace

Worker::Worker(uint16_t index, ProxyShared& shared)
    : index_(index),
      shared_(shared),
      work_(asio::make_work_guard(io_)),
      buffer_(kBufferBytes),
      thread_([this] {
        schedule_tick();
        io_.run();
      }) {}

Worker::~Worker() {
  stop();
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  asio::post(io_, [this] {
    tick_timer_.cancel();
    const auto clients = std::exchange(clients_, {});
    for (const auto& client : clients) client->close();
    for (const auto& [upstream, connections] : std::exchange(kept_, {}))
      for (const auto& connection : connections) connection->close();
    flush_log();
    work_.reset();
    io_.stop();
  });
  thread_.join();
}

Time Worker::now() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::nanoseconds>(since).count()};
}

void Worker::adopt(int fd, bool loopback) {
  asio::post(io_, [this, fd, loopback] {
    auto client = std::make_shared<ClientConnection>(*this, fd, loopback);
    client->index = clients_.size();
    clients_.push_back(client);
    client->start();
  });
}

void Worker::wake(Traffic::Wake wake) {
  asio::post(io_, [this, wake = std::move(wake)] { on_wake(wake); });
}

void Worker::drain() {
  asio::post(io_, [this] {
    const auto clients = clients_;
    for (const auto& client : clients) client->drain();
  });
}

void Worker::on_replica_down(std::string model, core::ReplicaId replica) {
  asio::post(io_, [this, model = std::move(model), replica] {
    const auto clients = clients_;
    for (const auto& client : clients) client->on_replica_down(model, replica);
  });
}

void Worker::expect(uint64_t id, ClientConnection& client, Traffic::Model& model,
                    const Traffic::Tenant& tenant) {
  waiting_[id] = {&client, &model, &tenant};
}

void Worker::forget(uint64_t id, bool woken) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;
  if (woken) {
    found->second.client = nullptr;
  } else {
    waiting_.erase(found);
  }
}

void Worker::on_wake(const Traffic::Wake& wake) {
  const auto found = waiting_.find(wake.id);
  if (found == waiting_.end()) return;
  const Waiting waiting = found->second;
  waiting_.erase(found);
  if (waiting.client != nullptr) {
    if (wake.dispatch) {
      waiting.client->on_turn(*wake.dispatch, wake.upstream);
    } else {
      waiting.client->on_refused(wake.refusal);
    }
    return;
  }
  // The client left between its turn and the word of it: nothing was sent anywhere.
  const Traffic::End end{.outcome = core::Outcome::kCancelled,
                         .status = ClientConnection::kClientLeft,
                         .use = {},
                         .queued = {},
                         .first_token = {},
                         .per_token = {},
                         .total = {}};
  if (wake.dispatch) {
    shared_.traffic->end(*waiting.model, *waiting.tenant, *wake.dispatch, 0, end, now());
  } else {
    shared_.traffic->end_refused(*waiting.model, *waiting.tenant, end, now());
  }
}

std::shared_ptr<UpstreamConnection> Worker::connection(
    const std::shared_ptr<const Upstream>& upstream, bool fresh) {
  if (!fresh) {
    const auto found = kept_.find(upstream.get());
    while (found != kept_.end() && !found->second.empty()) {
      std::shared_ptr<UpstreamConnection> connection = std::move(found->second.back());
      found->second.pop_back();
      if (connection->open()) return connection;
    }
  }
  return std::make_shared<UpstreamConnection>(*this, upstream);
}

void Worker::keep(std::shared_ptr<UpstreamConnection> connection) {
  auto& connections = kept_[connection->upstream().get()];
  if (connections.size() >= kKeptPerUpstream) {
    connection->close();
    return;
  }
  connection->idle_since = now();
  connections.push_back(std::move(connection));
}

void Worker::remove(const ClientConnection& client) {
  const size_t index = client.index;
  if (index >= clients_.size() || clients_[index].get() != &client) return;
  std::swap(clients_[index], clients_.back());
  clients_[index]->index = index;
  clients_.pop_back();
}

void Worker::schedule_tick() {
  tick_timer_.expires_after(kTick);
  tick_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    tick();
    schedule_tick();
  });
}

void Worker::tick() {
  const Time time = now();
  if (index_ == 0) shared_.traffic->tick(time);
  // From the back: one that closes itself is replaced by one that was looked at.
  for (size_t i = clients_.size(); i-- > 0;) {
    if (i >= clients_.size()) continue;
    const std::shared_ptr<ClientConnection> client = clients_[i];
    client->on_tick(time);
  }
  for (auto entry = kept_.begin(); entry != kept_.end();) {
    std::erase_if(entry->second, [time](const auto& connection) {
      if (!connection->open()) return true;
      if (time - connection->idle_since < kKeptFor) return false;
      connection->close();
      return true;
    });
    entry = entry->second.empty() ? kept_.erase(entry) : std::next(entry);
  }
  flush_log();
}

void Worker::log(std::string_view line) {
  log_.append(line);
  if (log_.size() >= kLogBytes) flush_log();
}

void Worker::flush_log() {
  if (log_.empty()) return;
  // A log that cannot be written must not stop the traffic.
  [[maybe_unused]] const ssize_t written = ::write(shared_.access_log, log_.data(), log_.size());
  log_.clear();
}

}  // namespace berth::gateway
