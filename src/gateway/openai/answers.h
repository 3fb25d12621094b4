#pragma once

#include <string>
#include <string_view>

#include "core/serving/dispatcher.h"

namespace berth::gateway {

/// An error as OpenAI's API spells it: status, and a body that its clients turn into exceptions.
struct ApiError {
  int status = 500;
  std::string message = {};
  std::string type = {};
  std::string code = {};
  int retry_after_s = 0;  ///< 0: says nothing of when

  std::string body() const;
};

ApiError bad_request(std::string message, std::string code = "invalid_request");
ApiError no_key();
ApiError no_such_model(std::string_view model);
ApiError no_such_route(std::string_view method, std::string_view target);
/// A body, head or framing that cannot be read.
ApiError unreadable(int status, std::string_view what);
ApiError refused(const core::Refusal& refusal, std::string_view model);
ApiError upstream_failed(std::string_view model);
ApiError upstream_cut(std::string_view model);
ApiError upstream_silent(std::string_view model);

std::string_view reason_phrase(int status);

}  // namespace berth::gateway
