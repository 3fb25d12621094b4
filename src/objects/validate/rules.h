#pragma once

#include <string_view>

#include "objects/json.h"
#include "objects/validate/issues.h"

namespace berth::objects {

/// What the table cannot say about an object of this struct: rules between its fields. The sink's
/// path is the object's; the object has its defaults, but may be wrong in any other way. Null when
/// there is none.
using ValueRule = void (*)(const JsonObject& object, IssueSink& sink);
ValueRule value_rule(std::string_view struct_name);

/// What may not change in an object of this kind, beyond the fields that the table calls
/// immutable.
using UpdateRule = void (*)(const Json& before, const Json& after, IssueSink& sink);
UpdateRule update_rule(std::string_view struct_name);

// Readers that give nothing where a member is missing or of another type.
const Json* member(const JsonObject& object, std::string_view key);
std::string_view text_of(const JsonObject& object, std::string_view key);
const JsonObject& object_of(const JsonObject& object, std::string_view key);
const JsonArray& array_of(const JsonObject& object, std::string_view key);
bool is_true(const JsonObject& object, std::string_view key);

// The rules of each area, by struct name; `value_rule` looks in all of them.
ValueRule pod_value_rule(std::string_view struct_name);
ValueRule workload_value_rule(std::string_view struct_name);
ValueRule service_value_rule(std::string_view struct_name);
ValueRule policy_value_rule(std::string_view struct_name);
ValueRule berth_value_rule(std::string_view struct_name);
ValueRule serving_value_rule(std::string_view struct_name);

}  // namespace berth::objects
