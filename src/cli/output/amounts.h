#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/quantity.h"
#include "objects/json.h"

namespace berth::cli {

/// Amounts by resource name.
using Amounts = std::map<std::string, Quantity, std::less<>>;

Amounts read_amounts(const JsonObject& object);
void add_amounts(Amounts& to, const Amounts& more);
/// What a pod asks for: containers together, init containers one by one.
Amounts pod_requests(const Json& pod);

/// `cpu=4,memory=16Gi,nvidia.com/gpu=2`
Result<Amounts> parse_amounts(std::string_view text);
std::string format_amounts(const Amounts& amounts);
Json to_json(const Amounts& amounts);

/// For people: `3.5`, `512Mi`, `20Gi`.
std::string short_amount(std::string_view resource, Quantity amount);

}  // namespace berth::cli
