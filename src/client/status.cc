#include "client/status.h"

#include <string>

#include <fmt/format.h>

namespace berth::client {

Error error_from_status(int http_code, const Json& status) {
  const int64_t code = objects::find_int(status, {"code"}, http_code);
  const std::string_view reason = objects::find_string(status, {"reason"});
  Error error;
  error.what = objects::find_string(status, {"message"});
  if (error.what.empty()) error.what = fmt::format("the API server answered with HTTP {}", code);
  switch (code) {
    case 400:
    case 422:
      error.code = ErrorCode::kInvalid;
      break;
    case 401:
      error.code = ErrorCode::kUnauthorized;
      break;
    case 403:
      error.code = ErrorCode::kForbidden;
      break;
    case 404:
      error.code = ErrorCode::kNotFound;
      break;
    case 409:
      error.code = reason == "AlreadyExists" ? ErrorCode::kAlreadyExists : ErrorCode::kConflict;
      break;
    case 410:
      error.code = ErrorCode::kGone;
      break;
    case 429:
      error.code = ErrorCode::kTooManyRequests;
      break;
    case 405:
    case 406:
    case 415:
    case 501:
      error.code = ErrorCode::kUnsupported;
      break;
    case 408:
    case 504:
      error.code = ErrorCode::kTimeout;
      break;
    case 502:
    case 503:
    case 507:
      error.code = ErrorCode::kUnavailable;
      break;
    default:
      error.code = ErrorCode::kInternal;
  }
  return error;
}

}  // namespace berth::client
