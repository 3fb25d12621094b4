#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

/// What the server and the client have in common below HTTP. For `server.cc` and `client.cc` alone.
namespace berth::platform {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

/// TCP and local sockets alike: all that is written for a kind of stream is compiled once a kind,
/// at many seconds each.
using PlainStream = beast::basic_stream<asio::generic::stream_protocol>;
using TlsStream = beast::ssl_stream<PlainStream>;
using ErrorCodeB = boost::system::error_code;

inline constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

}  // namespace berth::platform
