#include <array>
#include <bit>
#include <cmath>
#include <string>

#include <gtest/gtest.h>

#include "objects/protobuf/decode.h"

namespace berth::objects {
namespace {

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  return bytes + static_cast<char>(value);
}
std::string bytes_field(uint32_t number, const std::string& value) {
  return varint(number << 3 | 2) + varint(value.size()) + value;
}
std::string int_field(uint32_t number, uint64_t value) {
  return varint(number << 3) + varint(value);
}
std::string envelope(const std::string& api_version, const std::string& kind,
                     const std::string& raw) {
  return std::string("k8s\0", 4) +
         bytes_field(1, bytes_field(1, api_version) + bytes_field(2, kind)) + bytes_field(2, raw);
}

class ProtobufTest : public testing::Test {
 protected:
  Result<Json> decode(const std::string& body) const { return decode_protobuf(*registry_, body); }
  std::unique_ptr<Registry> registry_ = Registry::built_in();
};

TEST_F(ProtobufTest, ReadsMapsAndDropsWhatGoLeavesEmpty) {
  const std::string metadata = bytes_field(1, "a") + bytes_field(2, "") + bytes_field(8, "");
  const std::string entry = bytes_field(1, "key") + bytes_field(2, "value");
  const auto object =
      decode(envelope("v1", "ConfigMap", bytes_field(1, metadata) + bytes_field(2, entry)));
  ASSERT_TRUE(object) << object.error().to_string();
  const JsonObject expected{{"apiVersion", "v1"},
                            {"kind", "ConfigMap"},
                            {"metadata", JsonObject{{"name", "a"}}},
                            {"data", JsonObject{{"key", "value"}}}};
  EXPECT_EQ(*object, Json(expected));
}

TEST_F(ProtobufTest, BytesAreBase64) {
  const std::string entry = bytes_field(1, "k") + bytes_field(2, "open");
  const auto object = decode(envelope("v1", "Secret", bytes_field(2, entry)));
  ASSERT_TRUE(object);
  EXPECT_EQ(find_string(*object, {"data", "k"}), "b3Blbg==");
}

TEST_F(ProtobufTest, AZeroThatOverridesADefaultIsKept) {
  const auto none =
      decode(envelope("apps/v1", "Deployment", bytes_field(2, int_field(1, 0) + int_field(5, 0))));
  ASSERT_TRUE(none);
  EXPECT_EQ(find_int(*none, {"spec", "replicas"}, -1), 0);
  EXPECT_EQ(find(*none, {"spec", "minReadySeconds"}), nullptr);
}

TEST_F(ProtobufTest, RefusesNumbersThatJsonCannotHold) {
  ASSERT_TRUE(
      registry_->add("struct test.v1.Gauge\n"
                     "  reading double @1\n"
                     "kind Gauge test/v1 gauges gauge test.v1.Gauge\n"));
  const auto gauge = [&](double reading) {
    const auto bits = std::bit_cast<std::array<char, sizeof reading>>(reading);
    return decode(
        envelope("test/v1", "Gauge", varint(1 << 3 | 1) + std::string(bits.begin(), bits.end())));
  };
  const auto half = gauge(0.5);
  ASSERT_TRUE(half) << half.error().to_string();
  EXPECT_EQ(*find(*half, {"reading"}), Json(0.5));
  for (const double reading : {HUGE_VAL, -HUGE_VAL, std::nan("")}) EXPECT_FALSE(gauge(reading));
}

TEST_F(ProtobufTest, RefusesWhatIsNone) {
  const std::string good = envelope("v1", "ConfigMap", bytes_field(1, bytes_field(1, "a")));
  EXPECT_FALSE(decode(""));
  EXPECT_FALSE(decode("{}"));
  EXPECT_FALSE(decode(envelope("v1", "Nothing", "")));
  EXPECT_FALSE(decode(envelope("v1", "ConfigMap", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")));
  for (const char* text : {"\xd8\xd7", "\xc0\xaf", "\xed\xa0\x80", "\xe2\x82"}) {
    const std::string metadata = bytes_field(1, bytes_field(1, text));
    EXPECT_FALSE(decode(envelope("v1", "ConfigMap", metadata))) << "not UTF-8";
    const std::string entry = bytes_field(1, text) + bytes_field(2, "v");
    EXPECT_FALSE(decode(envelope("v1", "ConfigMap", bytes_field(2, entry)))) << "nor as a key";
  }
  EXPECT_TRUE(
      decode(envelope("v1", "ConfigMap", bytes_field(1, bytes_field(1, "\u00e9\u20ac\x01")))));
  for (size_t size = 4; size < good.size(); ++size) {
    const auto cut = decode(good.substr(0, size));  // must end, and not read beyond
    EXPECT_TRUE(!cut || *cut != *decode(good));
  }
}

}  // namespace
}  // namespace berth::objects
