#include "gateway/openai/answers.h"

#include <utility>

#include <boost/beast/http/status.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

namespace berth::gateway {

std::string ApiError::body() const {
  return boost::json::serialize(boost::json::value{
      {"error", {{"message", message}, {"type", type}, {"param", nullptr}, {"code", code}}}});
}

ApiError bad_request(std::string message, std::string code) {
  return {400, std::move(message), "invalid_request_error", std::move(code)};
}

ApiError no_key() {
  return {401,
          "No key, or one that is not known here. Send `Authorization: Bearer sk-berth-...`; "
          "`berth key create` makes keys.",
          "invalid_request_error", "invalid_api_key"};
}

ApiError no_such_model(std::string_view model) {
  return {404,
          fmt::format("The model `{}` is not served here. GET /v1/models lists what is.", model),
          "invalid_request_error", "model_not_found"};
}

ApiError no_such_route(std::string_view method, std::string_view target) {
  return {404,
          fmt::format("There is no {} {}. There are GET /v1/models, and POST "
                      "/v1/chat/completions, /v1/completions and /v1/embeddings.",
                      method, target.substr(0, 100)),
          "invalid_request_error", "unknown_url"};
}

ApiError unreadable(int status, std::string_view what) {
  return {status, fmt::format("The request cannot be read: {}.", what), "invalid_request_error",
          status == 413 ? "request_too_large" : "invalid_request"};
}

ApiError refused(const core::Refusal& refusal, std::string_view model) {
  using Reason = core::RefusalReason;
  ApiError error{.type = "rate_limit_error", .code = std::string(to_string(refusal.reason))};
  error.retry_after_s = core::retry_after_s(refusal.retry_after);
  switch (refusal.reason) {
    case Reason::kQueueFull:
      error.status = 429;
      error.message = fmt::format("Too many of your requests wait for `{}`.", model);
      break;
    case Reason::kDeadline:
      error.status = 429;
      error.message = fmt::format("`{}` would not begin to answer before the deadline.", model);
      break;
    case Reason::kQueueLimit:
      error.status = 429;
      error.message = fmt::format("`{}` is busy: your turn did not come in time.", model);
      break;
    case Reason::kStartLimit:
      error.status = 503;
      error.type = "server_error";
      error.message = fmt::format("No server of `{}` was ready in time.", model);
      break;
    case Reason::kNoReplica:
      error.status = 503;
      error.type = "server_error";
      error.message = fmt::format("No server of `{}` is running.", model);
      break;
  }
  return error;
}

ApiError upstream_failed(std::string_view model) {
  return {502, fmt::format("The servers of `{}` did not answer.", model), "server_error",
          "upstream_failed", 1};
}

ApiError upstream_cut(std::string_view model) {
  return {502, fmt::format("The server of `{}` broke off in the middle of its answer.", model),
          "server_error", "upstream_cut"};
}

ApiError upstream_silent(std::string_view model) {
  return {504, fmt::format("The server of `{}` said nothing for too long.", model), "server_error",
          "upstream_timeout"};
}

std::string_view reason_phrase(int status) {
  const auto phrase =
      boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
  return {phrase.data(), phrase.size()};
}

}  // namespace berth::gateway
