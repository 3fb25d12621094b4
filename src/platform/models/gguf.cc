#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "platform/models/model_header.h"

namespace berth::platform {
namespace {

// No key or text that matters here is longer; arrays are stepped over.
constexpr uint64_t kMaxText = 64 * 1024;
constexpr uint64_t kMaxPairs = 100'000;
constexpr uint64_t kMaxArrayDepth = 4;

enum ValueType : uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
  kTypeCount
};
constexpr std::array<uint64_t, kTypeCount> kSizes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

class Reader {
 public:
  explicit Reader(std::istream& file) : file_(file) {}

  Result<ModelHeader> run() {
    BERTH_TRY(const uint32_t magic, number<uint32_t>());
    if (magic != 0x46554747) return wrong("does not start with `GGUF`");
    BERTH_TRY(const uint32_t version, number<uint32_t>());
    if (version != 2 && version != 3) return wrong(fmt::format("is GGUF version {}", version));
    BERTH_TRY([[maybe_unused]] const uint64_t tensors, number<uint64_t>());
    BERTH_TRY(const uint64_t pairs, number<uint64_t>());
    if (pairs > kMaxPairs) return wrong(fmt::format("announces {} pairs", pairs));
    for (uint64_t i = 0; i < pairs; ++i) BERTH_CHECK(read_pair());
    return header();
  }

 private:
  Result<ModelHeader> header() {
    ModelHeader header;
    header.architecture = texts_["general.architecture"];
    if (header.architecture.empty()) return wrong("does not say `general.architecture`");
    const int64_t embedding = value("embedding_length"), heads = value("attention.head_count");
    header.layers = value("block_count");
    header.kv_heads = value("attention.head_count_kv", heads);
    const int64_t head_length = heads > 0 ? embedding / heads : 0;
    header.key_length = value("attention.key_length", head_length);
    header.value_length = value("attention.value_length", head_length);
    header.context_tokens = value("context_length");
    return header;
  }

  int64_t value(std::string_view key, int64_t fallback = 0) {
    const auto at = numbers_.find(fmt::format("{}.{}", texts_["general.architecture"], key));
    return at != numbers_.end() ? at->second : fallback;
  }

  Result<> read_pair() {
    BERTH_TRY(const std::string key, text());
    BERTH_TRY(const uint32_t type, number<uint32_t>());
    if (type == kString) {
      BERTH_TRY(texts_[key], text());
      return {};
    }
    if (type == kArray) return read_array(key, 1);
    BERTH_TRY(const int64_t value, integer(type));
    numbers_[key] = value;
    return {};
  }

  /// Of an array of integers the largest counts: layers may differ in their heads.
  Result<> read_array(const std::string& key, uint64_t depth) {
    BERTH_TRY(const uint32_t type, number<uint32_t>());
    BERTH_TRY(const uint64_t count, number<uint64_t>());
    if (depth > kMaxArrayDepth) return wrong("nests arrays too deep");
    if (type == kString || type == kArray) {
      for (uint64_t i = 0; i < count; ++i) {
        if (type == kArray) {
          BERTH_CHECK(read_array(key, depth + 1));
        } else {
          BERTH_TRY(const uint64_t length, number<uint64_t>());
          BERTH_CHECK(skip(length));
        }
      }
      return {};
    }
    if (type >= kTypeCount) return wrong(fmt::format("has a value of type {}", type));
    if (!key.ends_with("head_count_kv") && !key.ends_with("head_count"))
      return count > UINT64_MAX / 8 ? wrong("announces an array beyond any size")
                                    : skip(count * kSizes[type]);
    for (uint64_t i = 0; i < count; ++i) {
      BERTH_TRY(const int64_t value, integer(type));
      numbers_[key] = std::max(numbers_[key], value);
    }
    return {};
  }

  Result<int64_t> integer(uint32_t type) {
    if (type >= kTypeCount || kSizes[type] == 0)
      return wrong(fmt::format("has a value of type {}", type));
    std::array<char, 8> bytes{};
    if (!file_.read(bytes.data(), static_cast<std::streamsize>(kSizes[type])))
      return wrong("ends too early");
    offset_ += kSizes[type];
    if (type == kFloat32 || type == kFloat64) return 0;
    uint64_t value = 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    return static_cast<int64_t>(value & (UINT64_MAX >> 1));
  }

  template <class T>
  Result<T> number() {
    static_assert(std::endian::native == std::endian::little, "GGUF is read as it lies");
    T value{};
    if (!file_.read(reinterpret_cast<char*>(&value), sizeof value)) return wrong("ends too early");
    offset_ += sizeof value;
    return value;
  }

  Result<std::string> text() {
    BERTH_TRY(const uint64_t length, number<uint64_t>());
    if (length > kMaxText) {
      BERTH_CHECK(skip(length));
      return std::string();
    }
    std::string text(length, '\0');
    if (!file_.read(text.data(), static_cast<std::streamsize>(length)))
      return wrong("ends too early");
    offset_ += length;
    return text;
  }

  Result<> skip(uint64_t bytes) {
    if (bytes > static_cast<uint64_t>(INT64_MAX) ||
        !file_.ignore(static_cast<std::streamsize>(bytes)) ||
        file_.gcount() != static_cast<std::streamsize>(bytes))
      return wrong("ends too early");
    offset_ += bytes;
    return {};
  }

  std::unexpected<Error> wrong(std::string what) const {
    return fail(ErrorCode::kInvalid, "the model's file " + what, fmt::format("byte {}", offset_),
                "fetch or convert the model again");
  }

  std::istream& file_;
  uint64_t offset_ = 0;
  std::map<std::string, int64_t> numbers_;
  std::map<std::string, std::string> texts_;
};

}  // namespace

Result<ModelHeader> parse_gguf(std::istream& file) {
  return Reader(file).run();
}

}  // namespace berth::platform
