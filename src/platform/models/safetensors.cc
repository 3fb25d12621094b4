#include <algorithm>
#include <string>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "platform/models/model_header.h"

namespace berth::platform {
namespace {

// The format's own limit of a header.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;

std::unexpected<Error> wrong(std::string what) {
  return fail(ErrorCode::kInvalid, std::move(what), {}, "fetch or convert the model again");
}

int64_t integer(const boost::json::object& object, std::string_view key, int64_t fallback = 0) {
  const boost::json::value* value = object.if_contains(key);
  return value != nullptr && value->is_int64() ? value->get_int64() : fallback;
}

}  // namespace

Result<ModelHeader> parse_model_config(const std::string& json_text) {
  boost::json::error_code error;
  const boost::json::value document = boost::json::parse(json_text, error);
  const boost::json::object* config = document.if_object();
  if (error || config == nullptr) return wrong("config.json is not a JSON object");
  ModelHeader header;
  if (const auto* names = config->if_contains("architectures");
      names != nullptr && names->is_array() && !names->get_array().empty() &&
      names->get_array()[0].is_string())
    header.architecture = names->get_array()[0].get_string();
  const int64_t heads = integer(*config, "num_attention_heads");
  header.layers = integer(*config, "num_hidden_layers");
  header.kv_heads = integer(*config, "num_key_value_heads", heads);
  header.key_length =
      integer(*config, "head_dim", heads > 0 ? integer(*config, "hidden_size") / heads : 0);
  header.value_length = header.key_length;
  header.context_tokens = integer(*config, "max_position_embeddings");
  if (header.layers <= 0 || header.kv_heads <= 0 || header.key_length <= 0)
    return wrong("config.json says neither layers nor heads");
  return header;
}

Result<int64_t> parse_safetensors_size(std::istream& file) {
  uint64_t length = 0;
  if (!file.read(reinterpret_cast<char*>(&length), sizeof length) || length > kMaxHeaderBytes)
    return wrong("not a safetensors file: its header has no length");
  std::string text(length, '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(length)))
    return wrong("the safetensors header ends too early");
  boost::json::error_code error;
  const boost::json::value document = boost::json::parse(text, error);
  if (error || !document.is_object()) return wrong("the safetensors header is not a JSON object");
  int64_t end = 0;
  for (const auto& [name, tensor] : document.get_object()) {
    const boost::json::object* fields = tensor.if_object();
    const boost::json::value* offsets =
        fields == nullptr ? nullptr : fields->if_contains("data_offsets");
    if (offsets == nullptr) continue;  // `__metadata__`
    if (!offsets->is_array() || offsets->get_array().size() != 2 ||
        !offsets->get_array()[1].is_int64() || offsets->get_array()[1].get_int64() < 0)
      return wrong(fmt::format("the tensor `{}` has no data_offsets", std::string_view(name)));
    end = std::max(end, offsets->get_array()[1].get_int64());
  }
  return end;
}

}  // namespace berth::platform
