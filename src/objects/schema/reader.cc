#include "objects/schema/reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "base/text.h"

namespace berth::objects {
namespace {

constexpr std::array kScalarTypes =
    std::to_array<std::pair<std::string_view, Type>>({{"string", Type::kString},
                                                      {"int32", Type::kInt32},
                                                      {"int64", Type::kInt64},
                                                      {"double", Type::kDouble},
                                                      {"bool", Type::kBool},
                                                      {"quantity", Type::kQuantity},
                                                      {"intOrString", Type::kIntOrString},
                                                      {"time", Type::kTime},
                                                      {"microTime", Type::kMicroTime},
                                                      {"duration", Type::kDuration},
                                                      {"bytes", Type::kBytes},
                                                      {"any", Type::kAny}});

constexpr std::array kFormats =
    std::to_array<std::pair<std::string_view, Format>>({{"dnsLabel", Format::kDnsLabel},
                                                        {"dnsSubdomain", Format::kDnsSubdomain},
                                                        {"qualifiedName", Format::kQualifiedName},
                                                        {"labelValue", Format::kLabelValue},
                                                        {"port", Format::kPort},
                                                        {"portName", Format::kPortName},
                                                        {"ip", Format::kIp},
                                                        {"envName", Format::kEnvName},
                                                        {"absolutePath", Format::kAbsolutePath},
                                                        {"goDuration", Format::kGoDuration},
                                                        {"labels", Format::kLabels},
                                                        {"annotations", Format::kAnnotations},
                                                        {"resources", Format::kResources},
                                                        {"configKeys", Format::kConfigKeys}});

/// Takes the next word off the front; empty at the end.
std::string_view next_word(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const std::string_view word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(word.size());
  return word;
}

bool take_prefix(std::string_view& word, std::string_view prefix) {
  if (!word.starts_with(prefix)) return false;
  word.remove_prefix(prefix.size());
  return true;
}

template <class Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), out);
  return status == std::errc() && end == text.data() + text.size();
}

void read_group_version(std::string_view text, std::string_view& group, std::string_view& version) {
  const size_t slash = text.find('/');
  group = slash == std::string_view::npos ? std::string_view() : text.substr(0, slash);
  version = slash == std::string_view::npos ? text : text.substr(slash + 1);
}

std::unexpected<Error> bad(std::string_view what, std::string_view word) {
  return fail(ErrorCode::kInvalid, fmt::format("{} `{}` in the schema text", what, word));
}

}  // namespace

SchemaReader::SchemaReader(Registry& registry)
    : registry_(registry), part_(std::make_unique<SchemaPart>()) {}

Result<> SchemaReader::read_copy(std::string text) {
  part_->text = std::move(text);
  return read({part_->text});
}

Result<> SchemaReader::read(const std::vector<std::string_view>& texts) {
  for (std::string_view text : texts)
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      if (auto line = read_line(text.substr(0, end)); !line) {
        line.error().where = std::string(text.substr(0, end));
        return line;
      }
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  BERTH_CHECK(check_references());
  for (Struct& s : part_->structs) {
    std::ranges::sort(s.fields, {}, &Field::name);
    registry_.struct_by_name_.emplace(s.name, &s);
  }
  for (const Kind& kind : part_->kinds) registry_.kinds_.push_back(&kind);
  registry_.parts_.push_back(std::move(part_));
  return {};
}

Result<> SchemaReader::check_references() const {
  for (const auto& [name, s] : new_structs_)
    if (!defined_.contains(name)) return bad("there is no struct", name);
  for (const Kind& kind : part_->kinds)
    if (!kind.plural.empty() && registry_.find(kind.group, kind.version, kind.plural) != nullptr)
      return bad("there is already a kind", kind.plural);
  return {};
}

Result<> SchemaReader::read_line(std::string_view line) {
  if (line.empty() || line[0] == '#') return {};
  if (take_prefix(line, "struct ")) return start_struct(line);
  if (take_prefix(line, "kind ")) return start_kind(line);
  if (line[0] != ' ') return bad("cannot read", line);
  return struct_ != nullptr ? read_field(line) : read_kind_row(line);
}

Result<> SchemaReader::start_struct(std::string_view rest) {
  const std::string_view name = next_word(rest);
  if (registry_.find_struct(name) != nullptr || defined_.contains(name))
    return bad("there is already a struct", name);
  struct_ = const_cast<Struct*>(struct_named(name));
  defined_.emplace(name, true);
  kind_ = nullptr;
  for (std::string_view word = next_word(rest); !word.empty(); word = next_word(rest)) {
    if (word == "atomic") {
      struct_->atomic = true;
    } else if (word == "preserveUnknown") {
      struct_->preserve_unknown = true;
    } else {
      return bad("cannot read", word);
    }
  }
  return {};
}

const Struct* SchemaReader::struct_named(std::string_view name) {
  if (const Struct* known = registry_.find_struct(name)) return known;
  Struct*& made = new_structs_[name];
  if (made == nullptr) {
    made = &part_->structs.emplace_back();
    made->name = name;
  }
  return made;
}

Result<> SchemaReader::read_field(std::string_view rest) {
  Field& field = struct_->fields.emplace_back();
  field.name = next_word(rest);
  BERTH_CHECK(read_type(field, next_word(rest)));
  for (std::string_view word = next_word(rest); !word.empty(); word = next_word(rest)) {
    if (take_prefix(word, "default=")) {
      const std::string_view text(word.data(),
                                  static_cast<size_t>(rest.data() + rest.size() - word.data()));
      boost::system::error_code error;
      field.default_value = &part_->defaults.emplace_back(boost::json::parse(text, error));
      return error ? Result<>(bad("not a JSON default", text)) : Result<>();
    }
    BERTH_CHECK(read_attribute(field, word));
  }
  return {};
}

Result<> SchemaReader::read_type(Field& field, std::string_view type) {
  const bool list = take_prefix(type, "[]");
  if (list || take_prefix(type, "map[]")) {
    Field& item = part_->items.emplace_back();
    field.type = list ? Type::kList : Type::kMap;
    field.item = &item;
    return read_type(item, type);
  }
  if (type.empty()) return bad("no type for field", field.name);
  const auto* scalar =
      std::ranges::find(kScalarTypes, type, &std::pair<std::string_view, Type>::first);
  if (scalar != kScalarTypes.end()) {
    field.type = scalar->second;
  } else {
    field.type = Type::kObject;
    field.object = struct_named(type);
  }
  return {};
}

Result<> SchemaReader::read_attribute(Field& field, std::string_view word) {
  if (word == "required") {
    field.required = true;
  } else if (word == "immutable") {
    field.immutable = true;
  } else if (word == "nullable") {
    field.nullable = true;
  } else if (word == "atomic") {
    field.atomic = true;
  } else if (word == "set") {
    field.list_type = ListType::kSet;
  } else if (word == "repeats") {
    field.may_repeat = true;
  } else if (word == "retainKeys") {
    field.patch_retain_keys = true;
  } else if (take_prefix(word, "keys=")) {
    field.list_type = ListType::kMap;
    field.list_keys = split(word, ',');
  } else if (take_prefix(word, "merge=")) {
    field.patch_merge = true;
    field.merge_key = word;
  } else if (take_prefix(word, "enum=")) {
    field.enum_values = split(word, '|');
  } else if (take_prefix(word, "format=")) {
    const auto* format =
        std::ranges::find(kFormats, word, &std::pair<std::string_view, Format>::first);
    if (format == kFormats.end()) return bad("there is no format", word);
    field.format = format->second;
  } else {
    return read_number_attribute(field, word);
  }
  return {};
}

Result<> SchemaReader::read_number_attribute(Field& field, std::string_view word) {
  const std::string_view whole = word;
  int64_t number = 0;
  if (take_prefix(word, "@")) {
    const size_t dot = word.find('.');
    if (dot != std::string_view::npos && !read_number(word.substr(0, dot), field.outer_number))
      return bad("cannot read", whole);
    word = dot == std::string_view::npos ? word : word.substr(dot + 1);
    if (read_number(word, field.number)) return {};
  } else if (take_prefix(word, "min=")) {
    if (read_number(word, number)) return field.minimum = number, Result<>();
  } else if (take_prefix(word, "max=")) {
    if (read_number(word, number)) return field.maximum = number, Result<>();
  } else if (take_prefix(word, "minItems=")) {
    if (read_number(word, field.min_items)) return {};
  }
  return bad("cannot read", whole);
}

Result<> SchemaReader::start_kind(std::string_view rest) {
  struct_ = nullptr;
  kind_ = &part_->kinds.emplace_back();
  kind_->kind = next_word(rest);
  read_group_version(next_word(rest), kind_->group, kind_->version);
  kind_->plural = next_word(rest);
  kind_->singular = next_word(rest);
  if (kind_->plural == "-") kind_->plural = kind_->singular = {};
  kind_->schema = struct_named(next_word(rest));
  kind_->verbs = {"create", "delete", "deletecollection", "get",
                  "list",   "patch",  "update",           "watch"};
  for (std::string_view word = next_word(rest); !word.empty(); word = next_word(rest)) {
    if (word == "cluster") {
      kind_->namespaced = false;
    } else if (word == "name=label") {
      kind_->name_rule = NameRule::kDnsLabel;
    } else if (word == "name=label1035") {
      kind_->name_rule = NameRule::kDnsLabel1035;
    } else if (word == "name=path") {
      kind_->name_rule = NameRule::kPathSegment;
    } else {
      return bad("cannot read", word);
    }
  }
  return {};
}

Result<> SchemaReader::read_kind_row(std::string_view rest) {
  const std::string_view what = next_word(rest);
  if (kind_ == nullptr) return bad("a row without a kind or struct", what);
  if (what == "column") return read_column(rest);
  const std::string_view first = next_word(rest);
  if (what == "short") {
    kind_->short_names = split(first, ',');
  } else if (what == "categories") {
    kind_->categories = split(first, ',');
  } else if (what == "verbs") {
    kind_->verbs = split(first, ',');
  } else if (what == "fields") {
    kind_->selectable_fields = split(first, ',');
  } else if (what == "subresource") {
    Subresource& sub = kind_->subresources.emplace_back();
    sub.name = first;
    sub.kind = next_word(rest);
    read_group_version(next_word(rest), sub.group, sub.version);
    sub.verbs = split(next_word(rest), ',');
  } else {
    return bad("cannot read", what);
  }
  return {};
}

Result<> SchemaReader::read_column(std::string_view rest) {
  Column& column = kind_->columns.emplace_back();
  rest = trim(rest);
  if (take_prefix(rest, "\"")) {
    column.name = rest.substr(0, rest.find('"'));
    rest.remove_prefix(std::min(column.name.size() + 1, rest.size()));
  } else {
    column.name = next_word(rest);
  }
  column.type = next_word(rest);
  std::string_view source = next_word(rest);
  if (take_prefix(source, "hook:")) {
    column.hook = source;
  } else {
    column.path = source;
  }
  std::string_view after = rest;
  if (next_word(after) == "wide") column.priority = 1, rest = after;
  column.description = trim(rest);
  return column.path.empty() && column.hook.empty()
             ? Result<>(bad("no source for column", column.name))
             : Result<>();
}

}  // namespace berth::objects
