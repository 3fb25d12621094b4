#pragma once

#include <string>
#include <string_view>

#include "objects/json.h"

namespace berth::objects {

/// The value at a dotted path (`.spec.replicas` or `spec.replicas`); `[0]` takes an item and
/// `[?(@.type=="Ready")]` the first item whose member has that value, as printer columns write it.
/// A backslash before a dot makes it part of the key. Null where there is nothing.
const Json* at_path(const Json& root, std::string_view path);

/// The value at a path as text, as selectors and columns show it; empty where there is nothing.
std::string text_at(const Json& root, std::string_view path);

}  // namespace berth::objects
