#pragma once

#include <cstdint>
#include <filesystem>
#include <istream>
#include <map>
#include <string>
#include <utility>

#include "base/error.h"

namespace berth::platform {

/// What a model's files say of its size, without reading its weights.
struct ModelHeader {
  std::string architecture;  ///< `llama`, `LlamaForCausalLM`
  int64_t weights_bytes = 0;
  int64_t layers = 0;
  int64_t kv_heads = 0;
  int64_t key_length = 0;      ///< elements of a head's key
  int64_t value_length = 0;    ///< and of its value
  int64_t context_tokens = 0;  ///< what it was trained for; 0: not said

  /// What one token of one sequence keeps: keys and values of all layers, 16 bits an element.
  int64_t kv_bytes_per_token() const { return layers * kv_heads * (key_length + value_length) * 2; }
};

/// The header of a GGUF file; `weights_bytes` is left 0. Source: ggml's docs/gguf.md, versions 2
/// and 3. Bad input is an error with the offset where it is wrong.
Result<ModelHeader> parse_gguf(std::istream& file);

/// A Hugging Face `config.json`; `weights_bytes` is left 0.
Result<ModelHeader> parse_model_config(const std::string& json_text);

/// The bytes of tensors that a safetensors file announces in its header.
Result<int64_t> parse_safetensors_size(std::istream& file);

/// Reads a GGUF file (with all of its parts, when it is `…-00001-of-00004.gguf`) or a folder of
/// safetensors with its `config.json`.
Result<ModelHeader> read_model_header(const std::string& path);

/// The same, read again only when the file or folder has changed. One thread.
class ModelHeaders {
 public:
  Result<ModelHeader> read(const std::string& path);

 private:
  std::map<std::string, std::pair<std::filesystem::file_time_type, ModelHeader>> known_;
};

}  // namespace berth::platform
