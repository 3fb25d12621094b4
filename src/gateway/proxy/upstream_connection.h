#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>

#include "base/time.h"
#include "gateway/http/response_reader.h"
#include "gateway/http/transport.h"
#include "gateway/traffic/upstream.h"

namespace berth::gateway {

class Worker;

/// A connection to a server of models, for one request after the other. On its worker's thread.
class UpstreamConnection : public std::enable_shared_from_this<UpstreamConnection> {
 public:
  enum class Ending {
    kComplete,
    kUnreachable,  ///< nothing came: the request may be sent again
    kCut,          ///< broken off in the middle, or no HTTP
  };

  /// Who asked. Calls come in this order, `on_end` last, and none after `abandon`.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_head(const AnswerHead& head) = 0;
    /// The bytes are good until the next `on_flush` or `on_end` returns.
    virtual void on_body(std::string_view bytes) = 0;
    /// Everything that was there to be read was read.
    virtual void on_flush() = 0;
    virtual void on_end(Ending ending) = 0;
  };

  UpstreamConnection(Worker& worker, std::shared_ptr<const Upstream> upstream);
  ~UpstreamConnection();

  /// Sends the parts, which stay where they are until the end, and reads the answer. Connects
  /// first where it must.
  using Parts = std::array<std::string_view, 4>;
  void start(Owner& owner, const Parts& request);
  /// Reads no more until `resume`: the client is slower than the server.
  void pause() { paused_ = true; }
  void resume();
  /// The owner wants no answer any more; the server sees the connection close.
  void abandon();

  const std::shared_ptr<const Upstream>& upstream() const { return upstream_; }
  /// It was used before: then a server may have closed it just when it was taken.
  bool reused() const { return uses_ > 1; }
  bool open() const { return open_; }
  bool connected() const { return connected_; }
  Time idle_since;
  void close();

 private:
  void connect();
  void connect_to(const boost::asio::ip::tcp::endpoint& address);
  void on_connected(const boost::system::error_code& error);
  void write();
  void wait_read();
  void wait_write();
  void on_readable();
  /// False: it was closed or ended meanwhile.
  bool consume(std::string_view bytes);
  void end(Ending ending);

  Worker& worker_;
  const std::shared_ptr<const Upstream> upstream_;
  boost::asio::ip::tcp::socket socket_;
  std::optional<boost::asio::ip::tcp::resolver> resolver_;
  std::optional<Transport> transport_;
  ResponseReader reader_;
  Owner* owner_ = nullptr;
  Parts unsent_{};
  std::string leftover_;  ///< of a head line that is not all there
  int uses_ = 0;
  bool open_ = true;
  bool connected_ = false;
  bool paused_ = false;
  bool reading_ = false;  ///< a wait is under way
  bool writing_ = false;
};

}  // namespace berth::gateway
