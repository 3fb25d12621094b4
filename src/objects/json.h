#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>

namespace berth {

/// A document as a tree. Trees are short-lived: what is kept is canonical bytes.
using Json = boost::json::value;
using JsonObject = boost::json::object;
using JsonArray = boost::json::array;

/// A document that several threads read. Nobody changes it after it was published.
using SharedJson = std::shared_ptr<const Json>;

namespace objects {

/// The value at a path of object keys, or null where a step is missing or not an object.
const Json* find(const Json& root, std::initializer_list<std::string_view> path);

/// The string, integer or boolean at a path, or the fallback where there is none of that type.
/// The view lives as long as `root`.
std::string_view find_string(const Json& root, std::initializer_list<std::string_view> path,
                             std::string_view fallback = {});
int64_t find_int(const Json& root, std::initializer_list<std::string_view> path,
                 int64_t fallback = 0);
bool find_bool(const Json& root, std::initializer_list<std::string_view> path,
               bool fallback = false);
/// The object or array at a path, or an empty one.
const JsonObject& find_object(const Json& root, std::initializer_list<std::string_view> path);
const JsonArray& find_array(const Json& root, std::initializer_list<std::string_view> path);

/// The object at a path, made (with its parents) where it is missing or of another type.
JsonObject& ensure_object(Json& root, std::initializer_list<std::string_view> path);

}  // namespace objects
}  // namespace berth
