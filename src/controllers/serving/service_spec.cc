#include "controllers/serving/service_spec.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/quantity.h"

namespace berth::controllers {
namespace {

std::vector<std::string> texts(const JsonArray& list) {
  std::vector<std::string> words;
  for (const Json& word : list)
    if (word.is_string()) words.emplace_back(word.get_string());
  return words;
}

std::string path_of(std::string_view uri) {
  return std::string(uri.starts_with("file://") ? uri.substr(7) : uri);
}

}  // namespace

ServiceSpec ServiceSpec::read(const Object& service) {
  using objects::find_array, objects::find_int, objects::find_object, objects::find_string;
  const Json& json = *service.json;
  ServiceSpec spec;
  spec.name = service.key.name;
  spec.model_name = find_string(json, {"spec", "model", "name"}, spec.name);
  spec.model = path_of(find_string(json, {"spec", "model", "uri"}));
  spec.engine = find_engine(find_string(json, {"spec", "engine", "kind"}));
  spec.image = find_string(json, {"spec", "engine", "image"}, "host");
  spec.command = texts(find_array(json, {"spec", "engine", "command"}));
  spec.args = texts(find_array(json, {"spec", "engine", "args"}));
  spec.env = find_array(json, {"spec", "engine", "env"});
  spec.port =
      find_int(json, {"spec", "engine", "port"}, spec.engine == nullptr ? 0 : spec.engine->port);
  spec.context_tokens = find_int(json, {"spec", "engine", "contextTokens"}, 4096);
  spec.sequences = find_int(json, {"spec", "engine", "sequences"}, 4);
  for (const Json& row : find_array(json, {"spec", "variants"})) {
    VariantSpec variant;
    variant.name = find_string(row, {"name"});
    variant.accelerator = find_string(row, {"accelerator"});
    variant.resource = find_string(row, {"resource"}, "nvidia.com/gpu");
    if (const auto count = Quantity::parse(find_string(row, {"count"}, "0")))
      variant.count_milli = count->milli();
    variant.resources = find_object(row, {"resources"});
    spec.variants.push_back(std::move(variant));
  }
  spec.min = find_int(json, {"spec", "replicas", "min"}, 1);
  spec.max = std::max(find_int(json, {"spec", "replicas", "max"}, std::max<int64_t>(spec.min, 1)),
                      spec.min);
  for (const std::string_view of : {"ttft", "tpot", "latency"})
    if (const auto target = find_string(json, {"spec", "objective", of, "target"}); !target.empty())
      spec.objective += fmt::format("{}{}={}", spec.objective.empty() ? "" : ",", of, target);
  spec.queue = find_string(json, {"spec", "queue"});
  spec.priority_class = find_string(json, {"spec", "priorityClassName"});
  return spec;
}

std::string ServiceSpec::deployment_name(const VariantSpec& variant) const {
  return variant.name.empty() ? name : name + "-" + variant.name;
}

std::vector<int64_t> ServiceSpec::wanted_replicas(const Object& service) const {
  std::vector<int64_t> wanted;
  int64_t total = 0;
  for (const VariantSpec& variant : variants) {
    const int64_t desired = objects::find_int(
        *service.json, {"status", "desired", variant.name.empty() ? "default" : variant.name});
    // Together they may be more, while some take over from others.
    wanted.push_back(std::clamp<int64_t>(desired, 0, max));
    total += wanted.back();
  }
  if (!wanted.empty()) wanted.front() += std::max<int64_t>(0, min - total);
  return wanted;
}

}  // namespace berth::controllers
