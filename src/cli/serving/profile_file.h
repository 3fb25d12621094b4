#pragma once

#include <string>

#include "base/error.h"
#include "core/scaling/serving/serving_profile.h"

namespace berth::cli {

/// Reads a profile written by `berth profile fit`.
Result<core::ServingProfile> read_profile(const std::string& path);

}  // namespace berth::cli
