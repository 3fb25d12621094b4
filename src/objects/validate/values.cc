#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/quantity.h"
#include "base/text.h"
#include "base/time.h"
#include "objects/defaults.h"
#include "objects/json_text.h"
#include "objects/names.h"
#include "objects/validate/issues.h"
#include "objects/validate/rules.h"

namespace berth::objects {
namespace {

std::string list_of(const std::vector<std::string_view>& values) {
  return fmt::format("use one of: {}", fmt::join(values, ", "));
}

std::optional<std::string> check_format(Format format, std::string_view text) {
  switch (format) {
    case Format::kDnsLabel:
      return check_dns_label(text);
    case Format::kDnsSubdomain:
      return check_dns_subdomain(text);
    case Format::kQualifiedName:
      return check_qualified_name(text);
    case Format::kLabelValue:
      return check_label_value(text);
    case Format::kPort:
    case Format::kPortName:
      return check_port_name(text);
    case Format::kIp:
      return check_ip(text);
    case Format::kEnvName:
      return check_env_name(text);
    case Format::kAbsolutePath:
      return text.starts_with('/') ? std::nullopt
                                   : std::optional<std::string>("must start with `/`");
    case Format::kGoDuration:
      if (const auto parsed = parse_duration(text); !parsed) return parsed.error().fix;
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

class ValueCheck {
 public:
  Issues run(const Kind& kind, const Json& object) {
    const JsonObject* members = object.if_object();
    if (members == nullptr) return {};
    check_metadata(kind, *members);
    check_object(*kind.schema, *members);
    Issues issues = sink_.take();
    drop_copied_requests(issues);
    return issues;
  }

 private:
  /// Requests that were defaulted from limits repeat what is wrong with those.
  static void drop_copied_requests(Issues& issues) {
    constexpr std::string_view kRequests = ".resources.requests";
    std::erase_if(issues, [&](const Issue& issue) {
      const size_t at = issue.path.find(kRequests);
      if (at == std::string::npos) return false;
      std::string limits = issue.path;
      limits.replace(at, kRequests.size(), ".resources.limits");
      return std::ranges::any_of(issues, [&](const Issue& other) {
        return other.path == limits && other.what == issue.what;
      });
    });
  }

  void check_metadata(const Kind& kind, const JsonObject& object) {
    if (kind.plural.empty()) return;  // the body of a request, or a configuration
    const JsonObject& metadata = object_of(object, "metadata");
    const PathScope scope(sink_.path, "metadata");
    const std::string_view name = text_of(metadata, "name");
    if (name.empty() && text_of(metadata, "generateName").empty())
      sink_.add(Issue::Kind::kRequired, "name", "must be set",
                fmt::format("give the {} a name, such as `name: my-{}`", kind.kind, kind.singular));
    if (!name.empty()) check_name(kind.name_rule, name);
    const std::string_view ns = text_of(metadata, "namespace");
    if (!ns.empty() && !kind.namespaced)
      sink_.add(Issue::Kind::kForbidden, "namespace",
                fmt::format("a {} is not in a namespace", kind.kind), "remove it");
    if (!ns.empty() && kind.namespaced)
      if (const auto wrong = check_dns_label(ns))
        sink_.add(Issue::Kind::kInvalid, "namespace", fmt::format("`{}` {}", ns, *wrong), "");
  }

  void check_name(NameRule rule, std::string_view name) {
    std::optional<std::string> wrong;
    switch (rule) {
      case NameRule::kDnsSubdomain:
        wrong = check_dns_subdomain(name);
        break;
      case NameRule::kDnsLabel:
        wrong = check_dns_label(name);
        break;
      case NameRule::kDnsLabel1035:
        wrong = check_dns_label_1035(name);
        break;
      case NameRule::kPathSegment:
        wrong = check_path_segment(name);
        break;
    }
    if (!wrong) return;
    const std::string suggested = suggest_dns_name(name);
    sink_.add(
        Issue::Kind::kInvalid, "name", fmt::format("`{}` {}", name, *wrong),
        suggested.empty() || suggested == name ? "" : fmt::format("for example `{}`", suggested));
  }

  void check_object(const Struct& schema, const JsonObject& object) {
    for (const Field& field : schema.fields) {
      // What others report is not refused for a member that they left out.
      if (field.name == "status" && sink_.path.empty()) continue;
      const Json* value = object.if_contains(field.name);
      const bool unset = value == nullptr || value->is_null() ||
                         (value->is_string() && value->get_string().empty());
      if (unset) {
        if (field.required) report_missing(field);
        continue;
      }
      const PathScope scope(sink_.path, field.name);
      check_value(field, *value);
    }
    if (const ValueRule rule = value_rule(schema.name)) rule(object, sink_);
  }

  void report_missing(const Field& field) {
    std::string fix;
    if (!field.enum_values.empty()) {
      fix = list_of(field.enum_values);
    } else if (field.type == Type::kList) {
      fix = "give at least one item";
    }
    sink_.add(Issue::Kind::kRequired, field.name, "must be set", std::move(fix));
  }

  void check_value(const Field& field, const Json& value) {
    if (const JsonArray* array = value.if_array()) {
      if (field.type == Type::kList) check_list(field, *array);
    } else if (const JsonObject* object = value.if_object()) {
      if (field.type == Type::kObject) check_object(*field.object, *object);
      if (field.type == Type::kMap) check_map(field, *object);
    } else {
      check_scalar(field, value);
    }
  }

  void check_scalar(const Field& field, const Json& value) {
    if (value.is_string()) check_text(field, value.get_string());
    if (!value.is_int64() && !value.is_double()) return;
    int64_t minimum = field.minimum.value_or(0), maximum = field.maximum.value_or(0);
    bool low = field.minimum.has_value(), high = field.maximum.has_value();
    if (field.format == Format::kPort) low = high = true, minimum = 1, maximum = 65535;
    const double number = value.to_number<double>();
    const bool too_low = low && number < static_cast<double>(minimum);
    const bool too_high = high && number > static_cast<double>(maximum);
    if (!too_low && !too_high) return;
    sink_.add(Issue::Kind::kInvalid,
              low && high ? fmt::format("must be between {} and {}, not {}", minimum, maximum,
                                        canonical_json(value))
              : low ? fmt::format("must be at least {}, not {}", minimum, canonical_json(value))
                    : fmt::format("must be at most {}, not {}", maximum, canonical_json(value)));
  }

  void check_text(const Field& field, std::string_view text) {
    if (text.empty()) return;
    if (!field.enum_values.empty() &&
        std::ranges::find(field.enum_values, text) == field.enum_values.end()) {
      const std::string_view meant = closest(text, field.enum_values);
      sink_.add(Issue::Kind::kNotSupported, fmt::format("`{}` is not supported", text),
                meant.empty() ? list_of(field.enum_values)
                              : fmt::format("did you mean `{}`? ({})", meant,
                                            fmt::join(field.enum_values, ", ")));
      return;
    }
    if (const auto wrong = check_format(field.format, text))
      sink_.add(Issue::Kind::kInvalid, fmt::format("`{}` {}", text, *wrong));
  }

  void check_list(const Field& field, const JsonArray& array) {
    if (array.empty() && (field.required || field.min_items > 0)) {
      sink_.add(Issue::Kind::kRequired, "must not be empty", "give at least one item");
      return;
    }
    if (array.size() < field.min_items)
      sink_.add(Issue::Kind::kInvalid, fmt::format("must have at least {} items", field.min_items));
    for (size_t i = 0; i < array.size(); ++i) {
      const PathScope scope(sink_.path, i);
      if (array[i].is_null() && field.item->type == Type::kObject) {
        sink_.add(Issue::Kind::kRequired, "is empty", "remove the `-`, or write the item after it");
        continue;
      }
      check_value(*field.item, array[i]);
      if (array[i].is_string() && !field.enum_values.empty())
        check_text(field, array[i].get_string());
    }
    if (field.may_repeat) return;
    if (field.list_type == ListType::kMap) check_keys_unique(field, array);
    if (field.list_type == ListType::kSet) check_items_unique(array);
  }

  void check_keys_unique(const Field& field, const JsonArray& array) {
    if (field.list_keys.size() != 1) return check_key_sets_unique(field, array);
    const std::string_view key = field.list_keys.front();
    std::vector<std::pair<std::string_view, size_t>> seen;
    for (size_t i = 0; i < array.size(); ++i)
      if (const JsonObject* item = array[i].if_object())
        if (const std::string_view text = text_of(*item, key); !text.empty())
          seen.emplace_back(text, i);
    std::ranges::sort(seen);
    for (size_t i = 1; i < seen.size(); ++i)
      if (seen[i].first == seen[i - 1].first) {
        const PathScope scope(sink_.path, seen[i].second);
        sink_.add(Issue::Kind::kDuplicate, key, fmt::format("`{}` is used twice", seen[i].first),
                  "give each its own");
      }
  }

  void check_key_sets_unique(const Field& field, const JsonArray& array) {
    std::vector<std::pair<std::string, size_t>> seen;
    for (size_t i = 0; i < array.size(); ++i) {
      const JsonObject* item = array[i].if_object();
      if (item == nullptr) continue;
      std::string identity;
      for (std::string_view key : field.list_keys) {
        const Json* value = item->if_contains(key);
        identity += value != nullptr ? canonical_json(*value) : "null";
        identity += ' ';
      }
      seen.emplace_back(std::move(identity), i);
    }
    std::ranges::sort(seen);
    for (size_t i = 1; i < seen.size(); ++i)
      if (seen[i].first == seen[i - 1].first) {
        const PathScope scope(sink_.path, seen[i].second);
        sink_.add(
            Issue::Kind::kDuplicate,
            fmt::format("has the same {} as another item", fmt::join(field.list_keys, " and ")),
            "remove one of them");
      }
  }

  void check_items_unique(const JsonArray& array) {
    std::vector<std::pair<std::string, size_t>> seen;
    for (size_t i = 0; i < array.size(); ++i) seen.emplace_back(canonical_json(array[i]), i);
    std::ranges::sort(seen);
    for (size_t i = 1; i < seen.size(); ++i)
      if (seen[i].first == seen[i - 1].first) {
        const PathScope scope(sink_.path, seen[i].second);
        sink_.add(Issue::Kind::kDuplicate, fmt::format("{} is there twice", seen[i].first),
                  "remove one of them");
      }
  }

  void check_map(const Field& field, const JsonObject& map) {
    for (const auto& [key, value] : map) {
      const PathScope scope(sink_.path, std::string_view(key));
      check_key(field.format, key, value);
      check_value(*field.item, value);
    }
  }

  void check_key(Format format, std::string_view key, const Json& value) {
    std::optional<std::string> wrong;
    if (format == Format::kConfigKeys) wrong = check_config_key(key);
    if (format == Format::kLabels || format == Format::kAnnotations || format == Format::kResources)
      wrong = check_qualified_name(key);
    if (wrong) sink_.add(Issue::Kind::kInvalid, fmt::format("the key `{}` {}", key, *wrong));
    if (!value.is_string()) return;
    const std::string_view text = value.get_string();
    if (format == Format::kLabels)
      if (const auto bad = check_label_value(text))
        sink_.add(Issue::Kind::kInvalid, fmt::format("the value `{}` {}", text, *bad));
    if (format == Format::kResources)
      if (const auto quantity = Quantity::parse(text); quantity && quantity->milli() < 0)
        sink_.add(Issue::Kind::kInvalid, fmt::format("must not be negative, not {}", text));
  }

  IssueSink sink_;
};

}  // namespace

Issues check_values(const Kind& kind, const Json& object) {
  return ValueCheck().run(kind, object);
}

Issues check_all(const Kind& kind, const Json& object) {
  Issues issues = check_shape(kind, object);
  Json complete = object;
  prune(kind, complete);
  apply_defaults(kind, complete);
  Issues values = check_values(kind, complete);
  drop_consequences(issues, values);
  std::ranges::move(values, std::back_inserter(issues));
  sort_issues(issues);
  return issues;
}

std::string Issue::to_string() const {
  std::string text = path.empty() ? what : path + ": " + what;
  if (!fix.empty()) text += "; " + fix;
  return text;
}

std::string_view cause_reason(Issue::Kind kind) {
  switch (kind) {
    case Issue::Kind::kRequired:
      return "FieldValueRequired";
    case Issue::Kind::kNotSupported:
      return "FieldValueNotSupported";
    case Issue::Kind::kDuplicate:
    case Issue::Kind::kDuplicateField:
      return "FieldValueDuplicate";
    case Issue::Kind::kForbidden:
      return "FieldValueForbidden";
    case Issue::Kind::kTooLong:
      return "FieldValueTooLong";
    case Issue::Kind::kWrongType:
      return "FieldValueTypeInvalid";
    case Issue::Kind::kInvalid:
    case Issue::Kind::kUnknownField:
      return "FieldValueInvalid";
  }
  return "FieldValueInvalid";
}

}  // namespace berth::objects
