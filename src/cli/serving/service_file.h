#pragma once

#include <string>

#include "base/error.h"
#include "core/scaling/policies/scaling_policy.h"

namespace berth::cli {

/// Reads what scaling needs of a ModelService's manifest, see `documents::read_scaled_service`.
Result<> read_service(const std::string& path, core::ScaledService& service);

}  // namespace berth::cli
