#pragma once

#include <string_view>

#include "objects/json.h"

namespace berth::objects {

/// What the table cannot say about an object of this struct: defaults that follow from other
/// fields. It runs before the defaults of the table. Null when there is none.
using DefaultsRule = void (*)(JsonObject& object);
DefaultsRule defaults_rule(std::string_view struct_name);

}  // namespace berth::objects
