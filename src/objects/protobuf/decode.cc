#include "objects/protobuf/decode.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/time.h"
#include "objects/json_text.h"
#include "objects/text_forms.h"

namespace berth::objects {
namespace {

constexpr std::string_view kMagic{"k8s\0", 4};

enum class Wire : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Item {
  uint32_t number = 0;
  Wire wire = Wire::kVarint;
  uint64_t integer = 0;  ///< of the other three
  std::string_view bytes;
};

/// The fields of one message, in the order of the wire.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  bool done() const { return rest_.empty() && !broken_; }
  bool broken() const { return broken_; }

  /// Nothing at the end, or where the bytes are no message.
  std::optional<Item> next() {
    if (rest_.empty() || broken_) return std::nullopt;
    Item item;
    const uint64_t tag = varint();
    item.number = static_cast<uint32_t>(tag >> 3);
    item.wire = static_cast<Wire>(tag & 7);
    switch (item.wire) {
      case Wire::kVarint:
        item.integer = varint();
        break;
      case Wire::kFixed64:
        item.integer = fixed(8);
        break;
      case Wire::kFixed32:
        item.integer = fixed(4);
        break;
      case Wire::kBytes:
        item.bytes = take(varint());
        break;
      default:
        broken_ = true;
    }
    if (broken_ || item.number == 0) {
      broken_ = true;
      return std::nullopt;
    }
    return item;
  }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) break;
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    broken_ = true;
    return 0;
  }
  uint64_t fixed(size_t size) {
    const std::string_view bytes = take(size);
    uint64_t value = 0;
    for (size_t i = bytes.size(); i-- > 0;) {
      value = value << 8 | static_cast<unsigned char>(bytes[i]);
    }
    return value;
  }
  std::string_view take(uint64_t size) {
    if (size > rest_.size()) {
      broken_ = true;
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  std::string_view rest_;
  bool broken_ = false;
};

class Decoder {
 public:
  /// Null where the bytes are no message; `broken` is set then.
  JsonObject message(const Struct& type, std::string_view bytes, int depth) {
    JsonObject object;
    if (depth > kMaxDepth) broken_ = true;
    Reader reader(bytes);
    while (const auto item = reader.next()) {
      if (broken_) break;
      for (const Field& field : type.fields) {
        if (field.outer_number == item->number && field.outer_number != 0) {
          embedded(field, *item, object, depth);
        } else if (field.number == item->number && field.outer_number == 0) {
          put(field, *item, object, depth);
        }
      }
    }
    broken_ = broken_ || reader.broken();
    return object;
  }

  bool broken() const { return broken_; }

 private:
  /// A field whose value JSON shows without the message around it.
  void embedded(const Field& field, const Item& outer, JsonObject& object, int depth) {
    Reader reader(outer.bytes);
    while (const auto item = reader.next()) {
      if (item->number == field.number) put(field, *item, object, depth + 1);
    }
    broken_ = broken_ || reader.broken();
  }

  void put(const Field& field, const Item& item, JsonObject& object, int depth) {
    if (field.type == Type::kList && field.item != nullptr) {
      Json& list = object[field.name];
      if (!list.is_array()) list.emplace_array();
      list.get_array().push_back(value(*field.item, item, depth));
    } else if (field.type == Type::kMap && field.item != nullptr) {
      Json& map = object[field.name];
      if (!map.is_object()) map.emplace_object();
      std::string key;
      Json entry = zero(*field.item);
      Reader reader(item.bytes);
      while (const auto part = reader.next()) {
        if (part->number == 1) key = text(part->bytes).get_string();
        if (part->number == 2) entry = value(*field.item, *part, depth);
      }
      broken_ = broken_ || reader.broken();
      map.get_object()[key] = std::move(entry);
    } else if (Json decoded = value(field, item, depth); !is_unset(field, decoded)) {
      object[field.name] = std::move(decoded);
    }
  }

  static Json zero(const Field& field) {
    if (field.type == Type::kString || field.type == Type::kBytes) return "";
    if (field.type == Type::kQuantity) return "0";
    return nullptr;
  }

  static bool is_unset(const Field& field, const Json& value) {
    if (value.is_null()) return true;
    if (value.is_string()) return value.get_string().empty();
    const bool is_zero =
        (value.is_int64() && value.get_int64() == 0) || (value.is_bool() && !value.get_bool());
    if (!is_zero || field.type == Type::kIntOrString) return false;
    if (field.name == "gracePeriodSeconds" || field.name == "deletionGracePeriodSeconds") {
      return false;
    }
    return field.default_value == nullptr || (field.minimum && *field.minimum > 0);
  }

  Json value(const Field& field, const Item& item, int depth) {
    switch (field.type) {
      case Type::kString:
        return text(item.bytes);
      case Type::kInt32:
      case Type::kInt64:
        return static_cast<int64_t>(item.integer);
      case Type::kBool:
        return item.integer != 0;
      case Type::kDouble: {
        double number = 0;
        std::memcpy(&number, &item.integer, sizeof number);
        broken_ = broken_ || !std::isfinite(number);
        return number;
      }
      case Type::kBytes:
        return Json(base64(item.bytes));
      case Type::kQuantity:
        return text(text_in(item.bytes, 1));
      case Type::kTime:
      case Type::kMicroTime:
        return time(item.bytes, field.type == Type::kMicroTime);
      case Type::kDuration:
        return Json(format_duration({integer_in(item.bytes, 1)}));
      case Type::kIntOrString:
        if (integer_in(item.bytes, 1) == 1) return text(text_in(item.bytes, 3));
        return integer_in(item.bytes, 2);
      case Type::kObject:
        if (field.object != nullptr) return message(*field.object, item.bytes, depth + 1);
        return nullptr;
      case Type::kAny: {
        const auto raw = parse_json(text_in(item.bytes, 1));
        return raw ? raw->value : Json(nullptr);
      }
      case Type::kList:
      case Type::kMap:
        break;
    }
    return nullptr;
  }

  /// What is stored is JSON, which has no other text.
  Json text(std::string_view bytes) {
    broken_ = broken_ || !is_utf8(bytes);
    return Json(bytes);
  }

  std::string_view text_in(std::string_view bytes, uint32_t number) {
    std::string_view text;
    Reader reader(bytes);
    while (const auto item = reader.next()) {
      if (item->number == number) text = item->bytes;
    }
    broken_ = broken_ || reader.broken();
    return text;
  }

  int64_t integer_in(std::string_view bytes, uint32_t number) {
    int64_t integer = 0;
    Reader reader(bytes);
    while (const auto item = reader.next()) {
      if (item->number == number) integer = static_cast<int64_t>(item->integer);
    }
    broken_ = broken_ || reader.broken();
    return integer;
  }

  Json time(std::string_view bytes, bool micro) {
    const int64_t seconds = integer_in(bytes, 1);
    const int64_t nanoseconds = integer_in(bytes, 2);
    constexpr int64_t kBound = INT64_MAX / 1'000'000'000 - 1;
    if (seconds <= 0 || seconds > kBound) return nullptr;  // Go's zero time is long before
    const Time at{seconds * 1'000'000'000 + nanoseconds % 1'000'000'000};
    return Json(micro ? format_micro_time(at) : format_time(at));
  }

  bool broken_ = false;
};

}  // namespace

Result<Json> decode_protobuf(const Registry& registry, std::string_view body) {
  if (!body.starts_with(kMagic)) {
    return fail(ErrorCode::kInvalid, "the body is no Kubernetes protobuf: its first four bytes");
  }
  std::string_view api_version;
  std::string_view kind_name;
  std::string_view raw;
  Reader envelope(body.substr(kMagic.size()));
  while (const auto item = envelope.next()) {
    if (item->number == 1) {
      Reader meta(item->bytes);
      while (const auto part = meta.next()) {
        if (part->number == 1) api_version = part->bytes;
        if (part->number == 2) kind_name = part->bytes;
      }
    } else if (item->number == 2) {
      raw = item->bytes;
    }
  }
  const Kind* kind = registry.find_kind(api_version, kind_name);
  if (envelope.broken() || kind == nullptr || kind->schema == nullptr) {
    return fail(ErrorCode::kInvalid,
                fmt::format("the protobuf body is of an unknown kind `{}` of `{}`", kind_name,
                            api_version));
  }
  Decoder decoder;
  JsonObject object = decoder.message(*kind->schema, raw, 0);
  if (decoder.broken()) {
    return fail(
        ErrorCode::kInvalid,
        fmt::format(
            "the protobuf body is no {}: its bytes end early or nest too deep, its text is not "
            "UTF-8, or a number is not finite",
            kind_name));
  }
  object["apiVersion"] = api_version;
  object["kind"] = kind_name;
  return object;
}

}  // namespace berth::objects
