#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "gateway/proxy/settings.h"

namespace berth::gateway {

class ClientConnection;
class UpstreamConnection;

/// One thread with its own event loop, its clients, and its kept connections to servers. Members
/// without a remark are called on its thread.
class Worker {
 public:
  Worker(uint16_t index, ProxyShared& shared);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Any thread but its own.
  /// Ends the thread; what is open is cut.
  void stop();
  /// Takes over an accepted socket.
  void adopt(int fd, bool loopback);
  void wake(Traffic::Wake wake);
  /// Idle clients are closed, the others after their answer.
  void drain();
  /// What runs on a replica and has had no answer yet tries another.
  void on_replica_down(std::string model, core::ReplicaId replica);

  boost::asio::io_context& io() { return io_; }
  ProxyShared& shared() { return shared_; }
  /// For one read at a time: what is in it is used before the next.
  std::span<char> buffer() { return buffer_; }
  /// On a clock that nobody sets; only differences mean anything.
  static Time now();

  uint64_t next_id() { return (static_cast<uint64_t>(index_) << 48) | ++last_id_; }
  static uint16_t worker_of(uint64_t id) { return static_cast<uint16_t>(id >> 48); }

  /// A request waits for its wake.
  void expect(uint64_t id, ClientConnection& client, Traffic::Model& model,
              const Traffic::Tenant& tenant);
  /// It waits no more. With `woken` its wake is under way and finds nobody.
  void forget(uint64_t id, bool woken);

  /// A kept connection, or a new one.
  std::shared_ptr<UpstreamConnection> connection(const std::shared_ptr<const Upstream>& upstream,
                                                 bool fresh);
  void keep(std::shared_ptr<UpstreamConnection> connection);

  void remove(const ClientConnection& client);
  void log(std::string_view line);

 private:
  struct Waiting {
    ClientConnection* client = nullptr;  ///< null: it left
    Traffic::Model* model = nullptr;
    const Traffic::Tenant* tenant = nullptr;
  };

  void on_wake(const Traffic::Wake& wake);
  void schedule_tick();
  void tick();
  void flush_log();

  const uint16_t index_;
  ProxyShared& shared_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer tick_timer_{io_};
  std::vector<char> buffer_;
  std::vector<std::shared_ptr<ClientConnection>> clients_;
  std::unordered_map<uint64_t, Waiting> waiting_;
  std::unordered_map<const Upstream*, std::vector<std::shared_ptr<UpstreamConnection>>> kept_;
  std::string log_;
  uint64_t last_id_ = 0;
  std::thread thread_;
};

}  // namespace berth::gateway
