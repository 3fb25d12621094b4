#include "objects/json_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <deque>
#include <utility>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <fmt/format.h>

#include "objects/path.h"

namespace berth::objects {
namespace {

/// Builds the tree, and finds repeated keys, of which the tree keeps only the last.
class TreeHandler {
 public:
  static constexpr size_t max_object_size = static_cast<size_t>(-1);
  static constexpr size_t max_array_size = static_cast<size_t>(-1);
  static constexpr size_t max_key_size = static_cast<size_t>(-1);
  static constexpr size_t max_string_size = static_cast<size_t>(-1);
  using Error = boost::json::error_code;

  explicit TreeHandler(std::string_view text) : text_(text) {}

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_object_begin(Error&) {
    begin_value();
    levels_.push_back({keys_.size(), 0, false});
    return true;
  }
  bool on_object_end(size_t count, Error&) {
    find_duplicates();
    keys_.resize(levels_.back().first_key);
    levels_.pop_back();
    stack_.push_object(count);
    return true;
  }
  bool on_array_begin(Error&) {
    begin_value();
    levels_.push_back({keys_.size(), 0, true});
    return true;
  }
  bool on_array_end(size_t count, Error&) {
    levels_.pop_back();
    stack_.push_array(count);
    return true;
  }
  bool on_key_part(boost::json::string_view part, size_t, Error&) {
    stack_.push_chars(part);
    partial_key_.append(part.data(), part.size());
    return true;
  }
  bool on_key(boost::json::string_view part, size_t, Error&) {
    stack_.push_key(part);
    if (!partial_key_.empty()) {
      partial_key_.append(part.data(), part.size());
      keys_.push_back({unescaped_.emplace_back(std::exchange(partial_key_, {})), kNowhere});
      return true;
    }
    const std::string_view key(part.data(), part.size());
    const bool in_text =
        key.data() >= text_.data() && key.data() + key.size() <= text_.data() + text_.size();
    if (in_text) {
      keys_.push_back({key, static_cast<size_t>(key.data() - text_.data())});
    } else {
      keys_.push_back({unescaped_.emplace_back(key), kNowhere});
    }
    return true;
  }
  bool on_string_part(boost::json::string_view part, size_t, Error&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(boost::json::string_view part, size_t, Error&) {
    begin_value();
    stack_.push_string(part);
    return true;
  }
  bool on_number_part(boost::json::string_view part, Error&) {
    number_.append(part.data(), part.size());
    return true;
  }
  bool on_int64(int64_t value, boost::json::string_view, Error&) {
    begin_value();
    number_.clear();
    stack_.push_int64(value);
    return true;
  }
  bool on_uint64(uint64_t value, boost::json::string_view, Error&) {
    begin_value();
    number_.clear();
    stack_.push_uint64(value);
    return true;
  }
  bool on_double(double value, boost::json::string_view part, Error& error) {
    begin_value();
    // The library's own value may be off in the last bit.
    number_.append(part.data(), part.size());
    std::from_chars(number_.data(), number_.data() + number_.size(), value);
    number_.clear();
    if (!std::isfinite(value)) {
      error = boost::json::error::exponent_overflow;
      return false;
    }
    stack_.push_double(value);
    return true;
  }
  bool on_bool(bool value, Error&) {
    begin_value();
    stack_.push_bool(value);
    return true;
  }
  bool on_null(Error&) {
    begin_value();
    stack_.push_null();
    return true;
  }
  bool on_comment_part(boost::json::string_view, Error&) { return true; }
  bool on_comment(boost::json::string_view, Error&) { return true; }

  void start() { stack_.reset({}); }
  Json release() { return stack_.release(); }
  std::vector<DuplicateKey> take_duplicates() { return std::move(duplicates_); }

 private:
  static constexpr size_t kNowhere = static_cast<size_t>(-1);
  struct Key {
    std::string_view name;
    size_t offset;
  };
  struct Level {
    size_t first_key;
    size_t items;  // of an array, so far
    bool array;
  };

  void begin_value() {
    if (!levels_.empty()) ++levels_.back().items;
  }

  void find_duplicates() {
    const size_t first = levels_.back().first_key;
    const size_t count = keys_.size() - first;
    if (count < 2) return;
    if (count <= 12) {
      for (size_t i = first + 1; i < keys_.size(); ++i)
        for (size_t j = first; j < i; ++j)
          if (keys_[i].name == keys_[j].name) {
            add_duplicate(keys_[i]);
            break;
          }
      return;
    }
    std::vector<const Key*> sorted;
    sorted.reserve(count);
    for (size_t i = first; i < keys_.size(); ++i) sorted.push_back(&keys_[i]);
    std::ranges::stable_sort(sorted, {}, &Key::name);
    for (size_t i = 1; i < count; ++i)
      if (sorted[i]->name == sorted[i - 1]->name) add_duplicate(*sorted[i]);
  }

  void add_duplicate(const Key& key) {
    std::string path;
    for (size_t i = 0; i + 1 < levels_.size(); ++i) {
      if (levels_[i].array) {
        append_index(path, levels_[i].items - 1);
      } else {
        append_key(path, keys_[levels_[i + 1].first_key - 1].name);
      }
    }
    append_key(path, key.name);
    duplicates_.push_back({std::move(path), key.offset == kNowhere
                                                ? Position{}
                                                : position_of(text_, key.offset - 1)});
  }

  std::string_view text_;
  boost::json::value_stack stack_;
  std::vector<Key> keys_;  // of the open objects, outermost first
  std::vector<Level> levels_;
  std::deque<std::string> unescaped_;
  std::string partial_key_;
  std::string number_;
  std::vector<DuplicateKey> duplicates_;
};

void write_canonical(const Json& value, std::string& out);

void write_string(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  size_t clean = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, clean, i - clean);
    clean = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        out += "\\u00";
        out += kHex[c >> 4];
        out += kHex[c & 15];
    }
  }
  out.append(text, clean);
  out += '"';
}

void write_scalar(const Json& value, std::string& out) {
  switch (value.kind()) {
    case boost::json::kind::null:
      out += "null";
      break;
    case boost::json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      break;
    case boost::json::kind::int64:
      fmt::format_to(std::back_inserter(out), "{}", value.get_int64());
      break;
    case boost::json::kind::uint64:
      fmt::format_to(std::back_inserter(out), "{}", value.get_uint64());
      break;
    case boost::json::kind::double_:
      // JSON has no spelling for them; they cannot come from a JSON text.
      if (!std::isfinite(value.get_double())) {
        out += "null";
      } else if (value.get_double() == 0) {
        out += '0';  // of either sign
      } else {
        fmt::format_to(std::back_inserter(out), "{}", value.get_double());
      }
      break;
    case boost::json::kind::string:
      write_string(value.get_string(), out);
      break;
    default:
      break;
  }
}

/// The members in byte order of their keys.
class SortedMembers {
 public:
  explicit SortedMembers(const JsonObject& object) {
    members_.reserve(object.size());
    for (const auto& member : object) members_.push_back(&member);
    std::ranges::sort(members_, {}, [](const auto* m) { return std::string_view(m->key()); });
  }
  auto begin() const { return members_.begin(); }
  auto end() const { return members_.end(); }

 private:
  std::vector<const JsonObject::value_type*> members_;
};

void write_canonical(const Json& value, std::string& out) {
  if (const JsonObject* object = value.if_object()) {
    out += '{';
    bool first = true;
    for (const auto* member : SortedMembers(*object)) {
      if (!std::exchange(first, false)) out += ',';
      write_string(member->key(), out);
      out += ':';
      write_canonical(member->value(), out);
    }
    out += '}';
  } else if (const JsonArray* array = value.if_array()) {
    out += '[';
    bool first = true;
    for (const Json& item : *array) {
      if (!std::exchange(first, false)) out += ',';
      write_canonical(item, out);
    }
    out += ']';
  } else {
    write_scalar(value, out);
  }
}

void write_pretty(const Json& value, size_t indent, std::string& out) {
  const auto new_line = [&out](size_t depth) { out.append("\n").append(depth * 4, ' '); };
  if (const JsonObject* object = value.if_object(); object != nullptr && !object->empty()) {
    out += '{';
    bool first = true;
    for (const auto* member : SortedMembers(*object)) {
      if (!std::exchange(first, false)) out += ',';
      new_line(indent + 1);
      write_string(member->key(), out);
      out += ": ";
      write_pretty(member->value(), indent + 1, out);
    }
    new_line(indent);
    out += '}';
  } else if (const JsonArray* array = value.if_array(); array != nullptr && !array->empty()) {
    out += '[';
    bool first = true;
    for (const Json& item : *array) {
      if (!std::exchange(first, false)) out += ',';
      new_line(indent + 1);
      write_pretty(item, indent + 1, out);
    }
    new_line(indent);
    out += ']';
  } else {
    write_canonical(value, out);
  }
}

}  // namespace

Position position_of(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const size_t line_start =
      before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return {static_cast<int>(std::ranges::count(before, '\n')) + 1,
          static_cast<int>(before.size() - line_start) + 1};
}

Result<ParsedJson> parse_json(std::string_view text) {
  boost::json::parse_options options;
  options.max_depth = kMaxDepth;
  boost::json::basic_parser<TreeHandler> parser(options, text);
  parser.handler().start();
  boost::json::error_code error;
  const size_t read = parser.write_some(false, text.data(), text.size(), error);
  size_t rest = read;
  while (!error && rest < text.size()) {
    if (std::string_view(" \t\r\n").find(text[rest]) == std::string_view::npos)
      error = boost::json::error::extra_data;
    else
      ++rest;
  }
  if (error) {
    const Position at = position_of(text, rest);
    const bool deep = error == boost::json::error::too_deep;
    return fail(ErrorCode::kInvalid,
                deep ? fmt::format("nested deeper than {} levels", kMaxDepth)
                     : fmt::format("not JSON: {}", error.message()),
                fmt::format("{}:{}", at.line, at.column));
  }
  return ParsedJson{parser.handler().release(), parser.handler().take_duplicates()};
}

std::string canonical_json(const Json& value) {
  std::string out;
  write_canonical(value, out);
  return out;
}

std::string pretty_json(const Json& value) {
  std::string out;
  write_pretty(value, 0, out);
  out += '\n';
  return out;
}

}  // namespace berth::objects
