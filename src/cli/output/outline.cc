#include "cli/output/outline.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>
#include <vector>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "cli/output/print.h"

namespace berth::cli {
namespace {

/// `nodeName` reads `Node Name`; what is no identifier (a label's key) stays.
std::string title(std::string_view field) {
  for (const char c : field) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) return std::string(field);
  }
  std::string text;
  for (size_t i = 0; i < field.size(); ++i) {
    const auto c = static_cast<unsigned char>(field[i]);
    const bool boundary = i > 0 && std::isupper(c) != 0 &&
                          std::islower(static_cast<unsigned char>(field[i - 1])) != 0;
    if (boundary) text += ' ';
    text += i == 0 ? static_cast<char>(std::toupper(c)) : field[i];
  }
  return text;
}

/// Fields whose keys are names that somebody chose: they are shown as they are.
bool holds_names(std::string_view field) {
  constexpr std::array<std::string_view, 16> kMaps = {
      "limits",       "requests", "capacity",    "allocatable", "matchLabels", "nodeSelector",
      "data",         "hard",     "used",        "guaranteed",  "limit",       "allocated",
      "minResources", "labels",   "annotations", "overhead"};
  return std::find(kMaps.begin(), kMaps.end(), field) != kMaps.end();
}

bool is_plain(const Json& value) {
  return !value.is_object() && !value.is_array();
}

std::string plain_text(const Json& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_null()) return "<none>";
  return boost::json::serialize(value);
}

class Writer {
 public:
  explicit Writer(Time now) : now_(now) {}

  void line(int depth, std::string_view name, std::string_view value) {
    text_ += fmt::format("{:{}}{}:{:{}}{}\n", "", depth * 2, name, "",
                         value.empty() ? 0 : padding(depth, name), value);
  }

  void object(int depth, const JsonObject& fields, bool names = false) {
    for (const auto& [key, value] : fields) {
      this->value(depth, names ? std::string(key) : title(key), value, holds_names(key));
    }
  }

  void value(int depth, const std::string& name, const Json& value, bool names = false) {
    if (is_plain(value)) return scalar(depth, name, value);
    if (const JsonObject* fields = value.if_object()) {
      if (fields->empty()) return;
      line(depth, name, "");
      return object(depth + 1, *fields, names);
    }
    const JsonArray& items = value.get_array();
    if (items.empty()) return;
    if (name == "Conditions") return conditions(depth, items);
    if (all_plain(items)) return line(depth, name, joined(items));
    line(depth, name, "");
    for (const Json& item : items) this->item(depth + 1, item);
  }

  std::string take() { return std::move(text_); }

 private:
  static size_t padding(int depth, std::string_view name) {
    const size_t used = static_cast<size_t>(depth) * 2 + name.size() + 1;
    return used < 18 ? 18 - used : 2;
  }

  static bool all_plain(const JsonArray& items) {
    for (const Json& item : items) {
      if (!is_plain(item)) return false;
    }
    return true;
  }

  static std::string joined(const JsonArray& items) {
    std::string text;
    for (const Json& item : items) text += (text.empty() ? "" : " ") + plain_text(item);
    return text;
  }

  void scalar(int depth, const std::string& name, const Json& value) {
    std::string text = plain_text(value);
    if (value.is_string() && (name.ends_with(" Time") || name.ends_with("Timestamp"))) {
      text += fmt::format(" ({} ago)", age_of(value.get_string(), now_));
    }
    // A text of several lines starts on its own.
    if (text.find('\n') == std::string::npos) return line(depth, name, text);
    line(depth, name, "");
    std::string_view rest = text;
    while (!rest.empty()) {
      const size_t end = rest.find('\n');
      text_ += fmt::format("{:{}}{}\n", "", depth * 2 + 2, rest.substr(0, end));
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
  }

  /// A list entry: its name as a heading where it has one.
  void item(int depth, const Json& item) {
    const JsonObject* fields = item.if_object();
    if (fields == nullptr) {
      text_ += fmt::format("{:{}}- {}\n", "", depth * 2, plain_text(item));
      return;
    }
    const Json* name = fields->if_contains("name");
    if (name != nullptr && name->is_string()) {
      line(depth, plain_text(*name), "");
      for (const auto& [key, value] : *fields) {
        if (key != "name") this->value(depth + 1, title(key), value, holds_names(key));
      }
      return;
    }
    text_ += fmt::format("{:{}}-\n", "", depth * 2);
    object(depth + 1, *fields);
  }

  void conditions(int depth, const JsonArray& items) {
    line(depth, "Conditions", "");
    TextTable table(
        {fmt::format("{:{}}TYPE", "", depth * 2 + 2), "STATUS", "SINCE", "REASON", "MESSAGE"});
    for (const Json& item : items) {
      const auto field = [&](std::string_view key) {
        return std::string(objects::find_string(item, {key}));
      };
      table.add({fmt::format("{:{}}{}", "", depth * 2 + 2, field("type")), field("status"),
                 age_of(objects::find_string(item, {"lastTransitionTime"}), now_), field("reason"),
                 field("message")});
    }
    text_ += table.to_string();
  }

  const Time now_;
  std::string text_;
};

void write_map(Writer& writer, const Json& object, std::string_view field, std::string_view name) {
  bool first = true;
  for (const auto& [key, value] : objects::find_object(object, {"metadata", field})) {
    if (key == "kubectl.kubernetes.io/last-applied-configuration") continue;
    if (first) writer.line(0, name, "");
    first = false;
    writer.line(1, key, plain_text(value));
  }
  if (first) writer.line(0, name, "<none>");
}

}  // namespace

std::string age_of(std::string_view timestamp, Time now) {
  const auto at = parse_time(timestamp);
  if (!at) return "<unknown>";
  return format_age(std::max(Duration{}, now - *at));
}

std::string outline(const Json& object, Time now) {
  Writer writer(now);
  writer.line(0, "Name", objects::find_string(object, {"metadata", "name"}));
  const std::string_view ns = objects::find_string(object, {"metadata", "namespace"});
  if (!ns.empty()) writer.line(0, "Namespace", ns);
  writer.line(0, "Kind",
              fmt::format("{} ({})", objects::find_string(object, {"kind"}),
                          objects::find_string(object, {"apiVersion"})));
  const std::string_view created = objects::find_string(object, {"metadata", "creationTimestamp"});
  writer.line(0, "Created", fmt::format("{} ({} ago)", created, age_of(created, now)));
  const std::string_view deleted = objects::find_string(object, {"metadata", "deletionTimestamp"});
  if (!deleted.empty()) writer.line(0, "Terminating since", deleted);
  for (const Json& owner : objects::find_array(object, {"metadata", "ownerReferences"})) {
    writer.line(0, "Owned by",
                fmt::format("{}/{}", objects::find_string(owner, {"kind"}),
                            objects::find_string(owner, {"name"})));
  }
  write_map(writer, object, "labels", "Labels");
  write_map(writer, object, "annotations", "Annotations");
  const bool secret = objects::find_string(object, {"kind"}) == "Secret";
  for (const auto& [key, value] : objects::find_object(object, {})) {
    if (key == "metadata" || key == "kind" || key == "apiVersion") continue;
    if (secret && (key == "data" || key == "stringData")) {
      writer.line(0, title(key), "");
      for (const auto& [name, bytes] : objects::find_object(value, {})) {
        const size_t size = bytes.is_string() ? bytes.get_string().size() / 4 * 3 : 0;
        writer.line(1, name, fmt::format("about {} bytes", size));
      }
      continue;
    }
    writer.value(0, title(key), value, holds_names(key));
  }
  return writer.take();
}

}  // namespace berth::cli
