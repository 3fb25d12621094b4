#include <algorithm>
#include <cctype>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "objects/yaml.h"
#include "objects/yaml/scalar.h"

namespace berth::objects {
namespace {

/// Whether a text with line breaks reads back from a literal block (`|`).
bool fits_literal(std::string_view text) {
  if (text.find('\n') == std::string_view::npos || text[0] == ' ' || text[0] == '\n') return false;
  for (std::string_view line : split(text, '\n')) {
    if (line.ends_with(' ')) return false;
    for (char c : line)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

class YamlWriter {
 public:
  std::string write(const Json& value) {
    if (value.is_object() && !value.get_object().empty()) {
      object(value.get_object(), 0, false);
    } else if (value.is_array() && !value.get_array().empty()) {
      array(value.get_array(), 0);
    } else {
      scalar(value, 1);
      out_ += '\n';
    }
    return std::move(out_);
  }

 private:
  void indent(size_t depth) { out_.append(depth * 2, ' '); }

  /// `inline_first`: the first key goes on the line that is already begun (after `- `).
  void object(const JsonObject& object, size_t depth, bool inline_first) {
    std::vector<const JsonObject::value_type*> members;
    for (const auto& each : object) members.push_back(&each);
    std::ranges::sort(members, {}, [](const auto* m) { return std::string_view(m->key()); });
    for (const auto* each : members) {
      if (!inline_first) indent(depth);
      inline_first = false;
      text(each->key());
      out_ += ':';
      member(each->value(), depth);
    }
  }

  void member(const Json& value, size_t depth) {
    if (value.is_object() && !value.get_object().empty()) {
      out_ += '\n';
      object(value.get_object(), depth + 1, false);
    } else if (value.is_array() && !value.get_array().empty()) {
      out_ += '\n';
      array(value.get_array(), depth);
    } else {
      out_ += ' ';
      scalar(value, depth + 1);
      out_ += '\n';
    }
  }

  void array(const JsonArray& array_value, size_t depth) {
    for (const Json& item : array_value) {
      indent(depth);
      out_ += "- ";
      array_item(item, depth);
    }
  }

  void array_item(const Json& item, size_t depth) {
    if (item.is_object() && !item.get_object().empty()) {
      object(item.get_object(), depth + 1, true);
    } else if (item.is_array() && !item.get_array().empty()) {
      // A list in a list starts on the same line.
      bool first = true;
      for (const Json& inner : item.get_array()) {
        if (!first) indent(depth + 1);
        first = false;
        out_ += "- ";
        array_item(inner, depth + 1);
      }
    } else {
      scalar(item, depth + 1);
      out_ += '\n';
    }
  }

  void scalar(const Json& value, size_t depth) {
    if (value.is_string()) {
      const std::string_view string = value.get_string();
      if (fits_literal(string)) {
        literal(string, depth);
      } else {
        text(string);
      }
    } else {
      out_ += canonical_json(value);
    }
  }

  void literal(std::string_view string, size_t depth) {
    const bool ends = string.ends_with('\n');
    const bool more = string.ends_with("\n\n");
    out_ += more ? "|+" : (ends ? "|" : "|-");
    if (ends) string.remove_suffix(1);
    for (std::string_view line : split(string, '\n')) {
      out_ += '\n';
      if (!line.empty()) indent(depth);
      out_ += line;
    }
  }

  void text(std::string_view string) {
    if (!needs_quotes(string)) {
      out_ += string;
      return;
    }
    const bool ambiguous = !resolve_plain_scalar(string).is_string();
    const bool plain_characters = std::ranges::none_of(
        string, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (ambiguous || !plain_characters) {
      out_ += canonical_json(Json(string));  // a JSON string is a YAML string
      return;
    }
    out_ += '\'';
    for (char c : string) {
      if (c == '\'') out_ += '\'';
      out_ += c;
    }
    out_ += '\'';
  }

  std::string out_;
};

}  // namespace

std::string to_yaml(const Json& value) {
  return YamlWriter().write(value);
}

}  // namespace berth::objects
