#pragma once

#include <string_view>

#include "objects/json.h"

namespace berth::objects {

/// What a plain (unquoted) YAML scalar means to Kubernetes, whose reader follows YAML 1.1: `yes`
/// and `off` are booleans, `0644` is octal, `1_000` a thousand. A float without a fraction becomes
/// an integer, as on its way through JSON. Infinity and NaN, which JSON does not have, give text.
Json resolve_plain_scalar(std::string_view text);

/// Whether a string must be quoted to be read back as the same string.
bool needs_quotes(std::string_view text);

}  // namespace berth::objects
