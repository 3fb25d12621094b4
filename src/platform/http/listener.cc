#include "platform/http/listener.h"

#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/system_error.hpp>

namespace berth::platform {
namespace {

namespace asio = boost::asio;

Error cannot_listen(const boost::system::error_code& code, const std::string& address,
                    uint16_t port) {
  const std::string where = TcpListener::authority(address, port);
  const bool not_here = code == boost::system::errc::address_not_available;
  if (not_here || code == asio::error::invalid_argument)
    return {ErrorCode::kInvalid,
            not_here ? "this machine has no such address" : "this is no IP address", where,
            "give --address 127.0.0.1, 0.0.0.0 for all, or one that `ip -brief address` shows"};
  return {ErrorCode::kUnavailable, "cannot listen: " + code.message(), where,
          "choose another address or port, or stop the process that uses it"};
}

}  // namespace

std::string TcpListener::authority(const std::string& address, uint16_t port) {
  const bool v6 = address.find(':') != std::string::npos;
  return (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

Result<TcpListener> TcpListener::open(const std::string& address, uint16_t port) {
  try {
    asio::io_context unused;
    const asio::ip::tcp::endpoint wanted(asio::ip::make_address(address), port);
    asio::ip::tcp::acceptor acceptor(unused, wanted, /*reuse_addr=*/true);
    const uint16_t got = acceptor.local_endpoint().port();
    return TcpListener{
        .socket = Fd(acceptor.release()), .v6 = wanted.address().is_v6(), .port = got};
  } catch (const boost::system::system_error& error) {
    return std::unexpected(cannot_listen(error.code(), address, port));
  }
}

}  // namespace berth::platform
