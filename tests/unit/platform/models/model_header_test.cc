#include "platform/models/model_header.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::platform {
namespace {

using testing::HasSubstr;

/// Writes the header of a GGUF file.
class Gguf {
 public:
  explicit Gguf(uint32_t version = 3) {
    text_ = "GGUF";
    put(version);
    put(uint64_t{0});
  }
  Gguf& text(const std::string& key, const std::string& value) {
    start(key, 8);
    put_text(value);
    return *this;
  }
  Gguf& number(const std::string& key, uint32_t value) {
    start(key, 4);
    put(value);
    return *this;
  }
  Gguf& numbers(const std::string& key, const std::vector<uint32_t>& values) {
    start(key, 9);
    put(uint32_t{4});
    put(uint64_t{values.size()});
    for (const uint32_t value : values) put(value);
    return *this;
  }
  Gguf& texts(const std::string& key, const std::vector<std::string>& values) {
    start(key, 9);
    put(uint32_t{8});
    put(uint64_t{values.size()});
    for (const std::string& value : values) put_text(value);
    return *this;
  }
  std::string bytes() const {
    std::string count(reinterpret_cast<const char*>(&pairs_), sizeof pairs_);
    return text_ + count + body_;
  }
  Result<ModelHeader> parse() const {
    std::istringstream file(bytes());
    return parse_gguf(file);
  }

 private:
  void start(const std::string& key, uint32_t type) {
    ++pairs_;
    in_body_ = true;
    put_text(key);
    put(type);
  }
  void put_text(const std::string& value) {
    put(uint64_t{value.size()});
    body_ += value;
  }
  template <class T>
  void put(T value) {
    (in_body_ ? body_ : text_).append(reinterpret_cast<const char*>(&value), sizeof value);
  }

  std::string text_, body_;
  uint64_t pairs_ = 0;
  bool in_body_ = false;
};

Gguf llama() {
  Gguf file;
  file.text("general.architecture", "llama")
      .texts("tokenizer.ggml.tokens", {"a", "b", "c"})
      .number("llama.block_count", 32)
      .number("llama.embedding_length", 4096)
      .number("llama.attention.head_count", 32)
      .number("llama.context_length", 8192);
  return file;
}

TEST(Gguf, SaysWhatATokenKeeps) {
  const auto header = llama().number("llama.attention.head_count_kv", 8).parse();
  ASSERT_TRUE(header) << header.error().to_string();
  EXPECT_EQ(header->architecture, "llama");
  EXPECT_EQ(header->key_length, 128);
  EXPECT_EQ(header->kv_bytes_per_token(), 32 * 8 * 256 * 2);
  EXPECT_EQ(header->context_tokens, 8192);
}

TEST(Gguf, WithoutHeadsOfItsOwnTheCacheHasThoseOfAttention) {
  EXPECT_EQ(llama().parse()->kv_heads, 32);
}

TEST(Gguf, OfHeadsByLayerTheMostCount) {
  EXPECT_EQ(llama().numbers("llama.attention.head_count_kv", {8, 4, 2}).parse()->kv_heads, 8);
}

TEST(Gguf, EveryTruncationIsAnErrorWithItsPlace) {
  const std::string bytes = llama().bytes();
  for (size_t length = 0; length < bytes.size(); ++length) {
    std::istringstream file(bytes.substr(0, length));
    const auto header = parse_gguf(file);
    ASSERT_FALSE(header) << length;
    EXPECT_THAT(header.error().where, HasSubstr("byte ")) << length;
  }
}

TEST(Gguf, WhatIsNoGgufIsRefused) {
  std::istringstream text("#!/bin/sh\nexit 0\n");
  EXPECT_THAT(parse_gguf(text).error().what, HasSubstr("does not start with `GGUF`"));
  EXPECT_THAT(Gguf(1).parse().error().what, HasSubstr("is GGUF version 1"));
}

TEST(Safetensors, ItsConfigurationSaysWhatATokenKeeps) {
  const auto header = parse_model_config(R"({"architectures":["LlamaForCausalLM"],
    "num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"hidden_size":4096,
    "max_position_embeddings":131072})");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->kv_bytes_per_token(), 131072);
  EXPECT_FALSE(parse_model_config("{}"));
  EXPECT_FALSE(parse_model_config("[1"));
}

TEST(Safetensors, TheHeaderSaysHowLargeTheTensorsAre) {
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F16","data_offsets":[0,64]},"b":{"data_offsets":[64,96]}})";
  const uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
  std::istringstream good(bytes + header), cut(bytes + header.substr(0, 9));
  EXPECT_EQ(parse_safetensors_size(good).value(), 96);
  EXPECT_FALSE(parse_safetensors_size(cut));
}

}  // namespace
}  // namespace berth::platform
