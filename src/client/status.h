#pragma once

#include "base/error.h"
#include "objects/json.h"

namespace berth::client {

/// The Error that a Kubernetes `Status` of failure stands for. `http_code` counts where the body is
/// no Status.
Error error_from_status(int http_code, const Json& status);

}  // namespace berth::client
