#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>

#include "base/quantity.h"
#include "base/text.h"
#include "base/time.h"
#include "objects/json_text.h"
#include "objects/text_forms.h"
#include "objects/validate/issues.h"

namespace berth::objects {
namespace {

/// What a type looks like in JSON.
enum class Form { kString, kInteger, kNumber, kBool, kQuantity, kIntOrString, kMap, kList, kAny };

Form form_of(Type type) {
  switch (type) {
    case Type::kString:
    case Type::kTime:
    case Type::kMicroTime:
    case Type::kDuration:
    case Type::kBytes:
      return Form::kString;
    case Type::kInt32:
    case Type::kInt64:
      return Form::kInteger;
    case Type::kDouble:
      return Form::kNumber;
    case Type::kBool:
      return Form::kBool;
    case Type::kQuantity:
      return Form::kQuantity;
    case Type::kIntOrString:
      return Form::kIntOrString;
    case Type::kObject:
    case Type::kMap:
      return Form::kMap;
    case Type::kList:
      return Form::kList;
    case Type::kAny:
      break;
  }
  return Form::kAny;
}

std::string_view type_name(const Field& field) {
  constexpr std::array<std::string_view, 9> kNames = {
      "a string", "an integer", "a number", "true or false", "a quantity", "an integer or a string",
      "a map",    "a list",     "anything"};
  return kNames[static_cast<size_t>(form_of(field.type))];
}

std::string describe(const Json& value) {
  if (value.is_object()) return "a map";
  if (value.is_array()) return "a list";
  if (value.is_string()) return fmt::format("the string {}", canonical_json(value).substr(0, 60));
  return canonical_json(value);
}

bool fits_32_bits(int64_t number) {
  return number <= std::numeric_limits<int32_t>::max() &&
         number >= std::numeric_limits<int32_t>::min();
}

bool fits_type(const Field& field, const Json& value) {
  switch (form_of(field.type)) {
    case Form::kString:
      return value.is_string();
    case Form::kInteger:
      return value.is_int64() && (field.type == Type::kInt64 || fits_32_bits(value.get_int64()));
    case Form::kNumber:
      return value.is_number();
    case Form::kBool:
      return value.is_bool();
    case Form::kQuantity:
      return value.is_string() || value.is_number();
    case Form::kIntOrString:
      return value.is_string() || value.is_int64();
    case Form::kMap:
      return value.is_object();
    case Form::kList:
      return value.is_array();
    case Form::kAny:
      break;
  }
  return true;
}

std::string how_to_fix_type(const Field& field, const Json& value, std::string_view name) {
  const bool scalar = !value.is_object() && !value.is_array();
  // What was written is not known here: `on` was read as true, 1.50 as 1.5.
  if (scalar && type_name(field) == "a string") return "put it in quotes";
  if (field.type == Type::kList && field.item->type == Type::kObject && value.is_object())
    return "start its first line with `- `";
  if (field.type == Type::kList && value.is_string())
    return fmt::format("write it as [{}]", canonical_json(value));
  if (field.type == Type::kList && scalar)
    return type_name(*field.item) == "a string" ? "put it in brackets and quotes, as in `[\"a\"]`"
                                                : "put it in brackets";
  if (value.is_string() &&
      (field.type == Type::kInt32 || field.type == Type::kInt64 || field.type == Type::kBool))
    return fmt::format("write it without quotes, as in `{}: {}`", name,
                       field.type == Type::kBool ? "true" : "3");
  if (value.is_int64() && field.type == Type::kInt32) return "it must fit into 32 bits";
  return {};
}

/// A patch can make what a text could not: a document too deep to be read again.
bool is_deeper_than(const Json& value, int levels) {
  if (levels < 0) return true;
  if (const JsonObject* object = value.if_object())
    return std::ranges::any_of(
        *object, [levels](const auto& each) { return is_deeper_than(each.value(), levels - 1); });
  if (const JsonArray* array = value.if_array())
    return std::ranges::any_of(
        *array, [levels](const Json& each) { return is_deeper_than(each, levels - 1); });
  return false;
}

/// Walks a document beside its schema. Keeps the structs above, to tell where a field belongs.
class ShapeCheck {
 public:
  Issues run(const Kind& kind, const Json& object) {
    if (is_deeper_than(object, kMaxDepth)) {
      sink_.add(Issue::Kind::kWrongType, fmt::format("is nested deeper than {} levels", kMaxDepth));
      return sink_.take();
    }
    if (const JsonObject* members = object.if_object()) {
      check_object(*kind.schema, *members);
    } else {
      sink_.add(Issue::Kind::kWrongType, fmt::format("must be a map, not {}", describe(object)));
    }
    return sink_.take();
  }

 private:
  struct Level {
    const Struct* schema;
    std::string_view name;  // of the field that leads to it
  };

  void check_object(const Struct& schema, const JsonObject& object, std::string_view name = {}) {
    levels_.push_back({&schema, name});
    for (const auto& [key, value] : object) {
      const Field* field = schema.find(key);
      const PathScope scope(sink_.path, std::string_view(key));
      if (field != nullptr) {
        check_value(*field, value, key);
      } else if (!schema.preserve_unknown) {
        sink_.add(Issue::Kind::kUnknownField,
                  fmt::format("unknown field `{}`", std::string_view(key)),
                  where_it_belongs(schema, object, key));
      }
    }
    levels_.pop_back();
  }

  void check_value(const Field& field, const Json& value, std::string_view name) {
    if (value.is_null()) return;
    if (!fits_type(field, value)) {
      sink_.add(Issue::Kind::kWrongType,
                fmt::format("must be {}, not {}", type_name(field), describe(value)),
                how_to_fix_type(field, value, name));
      return;
    }
    switch (field.type) {
      case Type::kObject:
        check_object(*field.object, value.get_object(), name);
        break;
      case Type::kMap:
        for (const auto& [key, item] : value.get_object()) {
          const PathScope scope(sink_.path, std::string_view(key));
          check_value(*field.item, item, key);
        }
        break;
      case Type::kList:
        for (size_t i = 0; i < value.get_array().size(); ++i) {
          const PathScope scope(sink_.path, i);
          check_value(*field.item, value.get_array()[i], name);
        }
        break;
      default:
        check_spelling(field, value);
    }
  }

  void check_spelling(const Field& field, const Json& value) {
    const auto report = [this](const Error& error) {
      sink_.add(Issue::Kind::kWrongType, error.what, error.fix);
    };
    if (field.type == Type::kQuantity) {
      const std::string text =
          value.is_string() ? std::string(value.get_string()) : canonical_json(value);
      if (const auto parsed = Quantity::parse(text); !parsed) report(parsed.error());
    } else if (field.type == Type::kTime || field.type == Type::kMicroTime) {
      if (const auto parsed = parse_time(value.get_string()); !parsed) report(parsed.error());
    } else if (field.type == Type::kDuration) {
      if (const auto parsed = parse_duration(value.get_string()); !parsed) report(parsed.error());
    } else if (field.type == Type::kBytes && !is_base64(value.get_string())) {
      sink_.add(Issue::Kind::kWrongType, "is not base64",
                "encode it, or use `stringData` for plain text");
    }
  }

  std::string where_it_belongs(const Struct& schema, const JsonObject& object,
                               std::string_view key) const {
    // A field one step too high or too low is a matter of indentation.
    for (const Field& field : schema.fields) {
      const Field& inner = field.type == Type::kList ? *field.item : field;
      if (inner.type == Type::kObject && object.contains(field.name) &&
          inner.object->find(key) != nullptr)
        return fmt::format("it belongs under `{}`: indent it", field.name);
    }
    std::vector<std::string_view> candidates;
    for (const Field& field : schema.fields)
      if (!object.contains(field.name)) candidates.push_back(field.name);
    if (const std::string_view meant = closest(key, candidates); !meant.empty())
      return fmt::format("did you mean `{}`?", meant);
    for (size_t i = levels_.size() - 1; i-- > 0;)
      if (levels_[i].schema->find(key) != nullptr)
        return levels_[i].name.empty()
                   ? std::string("it belongs to the top level: indent it less")
                   : fmt::format("it belongs under `{}`: indent it less", levels_[i].name);
    return "remove it, or see the fields with `kubectl explain`";
  }

  IssueSink sink_;
  std::vector<Level> levels_;
};

/// "metadata" in "did you mean `metadata`?"
std::string_view meant_field(const Issue& issue) {
  constexpr std::string_view kStart = "did you mean `";
  if (!issue.fix.starts_with(kStart)) return {};
  const std::string_view rest = std::string_view(issue.fix).substr(kStart.size());
  return rest.substr(0, rest.find('`'));
}

std::string_view parent_of(std::string_view path) {
  const size_t at = path.find_last_of(".[");
  return at == std::string_view::npos ? std::string_view() : path.substr(0, at);
}

}  // namespace

Issues check_shape(const Kind& kind, const Json& object) {
  return ShapeCheck().run(kind, object);
}

void drop_consequences(const Issues& shape, Issues& values) {
  std::vector<std::string> spoiled;
  for (const Issue& issue : shape) {
    spoiled.push_back(issue.path);
    if (const std::string_view meant = meant_field(issue); !meant.empty())
      spoiled.push_back(child(parent_of(issue.path), meant));
  }
  std::erase_if(values, [&](const Issue& issue) {
    return std::ranges::any_of(spoiled,
                               [&](const std::string& path) { return is_under(issue.path, path); });
  });
}

void sort_issues(Issues& issues) {
  std::ranges::stable_sort(issues, {}, &Issue::path);
  const auto repeated = std::ranges::unique(issues);
  issues.erase(repeated.begin(), repeated.end());
}

}  // namespace berth::objects
