#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "gateway/http/transport.h"
#include "gateway/openai/answers.h"
#include "gateway/openai/request_scan.h"
#include "gateway/openai/sse_filter.h"
#include "gateway/proxy/settings.h"
#include "gateway/proxy/upstream_connection.h"

namespace berth::gateway {

class Worker;

/// One client and its requests, one at a time. On its worker's thread.
///
/// reading -> (waiting -> forwarding -> streaming) -> reading: a request is read whole, waits for
/// its turn, is sent to a server, and its answer is passed on as it comes or, when it is not a
/// stream, once it is whole.
class ClientConnection final : public std::enable_shared_from_this<ClientConnection>,
                               private UpstreamConnection::Owner {
 public:
  /// Stands for the status of an answer that nobody was there to get.
  static constexpr int kClientLeft = 499;

  ClientConnection(Worker& worker, int fd, bool loopback);
  ~ClientConnection() override;

  void start();
  void close();
  /// Ends once the request under way, if any, is answered.
  void drain();
  void on_tick(Time now);
  void on_turn(const core::Dispatch& dispatch, std::shared_ptr<const Upstream> upstream);
  void on_refused(const core::Refusal& refusal);
  void on_replica_down(std::string_view model, core::ReplicaId replica);

  size_t index = 0;  ///< its place in the worker's list

 private:
  enum class State { kReading, kWaiting, kForwarding, kStreaming, kLingering, kClosed };

  /// A request that was accepted, until its end.
  struct Exchange {
    uint64_t id = 0;
    Traffic::Model* model = nullptr;
    const Traffic::Tenant* tenant = nullptr;
    std::string key_id;
    RequestScan scan;
    bool add_usage = false;  ///< asked of the server by us alone
    core::Dispatch dispatch;
    std::shared_ptr<const Upstream> upstream;
    std::shared_ptr<UpstreamConnection> connection;
    std::string head;       ///< of the request to the server
    std::string rewritten;  ///< body, where inserting was not enough
    AnswerHead answer;
    std::string answer_body;  ///< of an answer that is not streamed
    std::optional<SseFilter> filter;
    int attempts = 0;
    int64_t output_charged = 0;
    Time arrived, sent, first_byte, last_byte;
    std::optional<Duration> queued;
  };

  // Reading (client_connection.cc).
  void wait_read();
  void wait_write();
  void on_readable();
  void process_input();
  void read_request(std::string_view bytes);
  void on_client_left();
  void refuse_bytes(const HttpRefusal& refusal);
  /// What was not read whole is answered so, and the connection ends.
  void refuse_unread(Rejected kind, const ApiError& error);

  // Routes (client_routes.cc).
  void handle_request();
  void handle_inference();
  void handle_models();
  void accept(const Traffic::Tenant& tenant, std::string key_id, int priority, Time deadline,
              RequestScan scan);
  void reject(Rejected kind, const ApiError& error);
  bool has_key() const;
  bool is_loopback() const { return loopback_; }

  // Exchange (client_exchange.cc).
  void forward(bool fresh);
  void on_head(const AnswerHead& head) override;
  void on_body(std::string_view bytes) override;
  void on_flush() override;
  void on_end(UpstreamConnection::Ending ending) override;
  void retry_or_fail();
  void pass_whole_answer();
  void end_stream(bool whole);
  void charge_output();
  /// Accounts for the exchange and forgets it.
  void end_exchange(core::Outcome outcome, int status);
  void fail_exchange(core::Outcome outcome, const ApiError& error);
  core::TokenUse token_use() const;
  void write_log(const Exchange& exchange, core::Outcome outcome, int status,
                 const core::TokenUse& use, Time now);

  // Writing (client_connection.cc).
  void send_answer(int status, std::string_view content_type, std::string_view body,
                   int retry_after_s = 0);
  void send(std::span<const std::string_view> parts);
  void flush_output();
  /// Ready for the next request, or the end.
  void finish_request();
  void linger();
  /// The client's own, where it is a word; else made of ours.
  std::string request_id(uint64_t id) const;

  Worker& worker_;
  ProxyShared& shared_;
  boost::asio::ip::tcp::socket socket_;
  Transport transport_;
  const bool loopback_;
  State state_ = State::kReading;
  RequestReader reader_;
  std::string in_;                        ///< read, and not understood yet
  std::string out_;                       ///< to be sent
  std::vector<std::string_view> pieces_;  ///< of the stream, to be sent at the next flush
  size_t pieces_bytes_ = 0;
  bool stream_head_sent_ = false;
  std::unique_ptr<Exchange> exchange_;
  Time deadline_{INT64_MAX};
  Time write_deadline_{INT64_MAX};
  bool reading_ = false;  ///< a wait is under way
  bool writing_ = false;
  bool processing_ = false;
  bool keep_alive_ = true;
  bool draining_ = false;
};

}  // namespace berth::gateway
