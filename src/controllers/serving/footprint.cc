#include "controllers/serving/footprint.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/quantity.h"
#include "objects/json_text.h"

namespace berth::controllers {
namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;
constexpr double kGibibyte = 1024.0 * kMebibyte;

std::string size(int64_t bytes) {
  return static_cast<double>(bytes) < kGibibyte
             ? fmt::format("{:.0f} MiB", static_cast<double>(bytes) / kMebibyte)
             : fmt::format("{:.1f} GiB", static_cast<double>(bytes) / kGibibyte);
}

int64_t cached_sequences(const ServiceSpec& spec) {
  return spec.engine != nullptr && spec.engine->kind == "vllm" ? 1 : spec.sequences;
}

/// Memory of the largest device that the variant may get; 0 where no node says one.
int64_t largest_device(const View& view, const VariantSpec& variant) {
  int64_t largest = 0;
  for (const ObjectPtr& node : view.list(Kind::kNode)) {
    const auto devices = objects::parse_json(node->annotation("berth.dev/devices", "[]"));
    if (!devices || !devices->value.is_array()) continue;
    for (const Json& device : devices->value.get_array())
      if (objects::find_string(device, {"resource"}) == variant.resource &&
          (variant.accelerator.empty() ||
           objects::find_string(device, {"model"}) == variant.accelerator))
        largest = std::max(largest, objects::find_int(device, {"memoryBytes"}));
  }
  return largest;
}

/// The variant's limit of main memory, or else the most that a node has; 0 where neither is known.
int64_t main_memory(const View& view, const VariantSpec& variant) {
  const auto limit = Quantity::parse(objects::find_string(variant.resources, {"limits", "memory"}));
  if (limit) return limit->units();
  int64_t most = 0;
  for (const ObjectPtr& node : view.list(Kind::kNode))
    if (const auto memory =
            Quantity::parse(objects::find_string(*node->json, {"status", "allocatable", "memory"})))
      most = std::max(most, memory->units());
  return most;
}

}  // namespace

Footprint footprint_of(const platform::ModelHeader& header, const ServiceSpec& spec) {
  Footprint need;
  need.weights = header.weights_bytes;
  need.kv_cache = header.kv_bytes_per_token() * spec.context_tokens * cached_sequences(spec);
  need.engine = 64 * kMebibyte + header.weights_bytes / 20;
  return need;
}

std::optional<std::string> why_it_cannot_fit(const View& view, const platform::ModelHeader& header,
                                             const ServiceSpec& spec, const VariantSpec& variant) {
  const bool on_devices = variant.count_milli > 0;
  const int64_t one = on_devices ? largest_device(view, variant) : main_memory(view, variant);
  const int64_t room = on_devices
                           ? static_cast<int64_t>(static_cast<double>(one) *
                                                  static_cast<double>(variant.count_milli) / 1000)
                           : one;
  const Footprint need = footprint_of(header, spec);
  if (one == 0 || need.total() <= room) return std::nullopt;
  const std::string place =
      on_devices
          ? fmt::format("{:g} {} of {} {} {}", static_cast<double>(variant.count_milli) / 1000,
                        variant.resource, size(one), room == one ? "is" : "are", size(room))
          : fmt::format("a replica has {} of main memory", size(room));
  return fmt::format(
      "a replica needs {} of weights + {} x {} tokens x {} KiB = {} of KV cache + {} for the "
      "engine = {}, but {}",
      size(need.weights), cached_sequences(spec), spec.context_tokens,
      header.kv_bytes_per_token() / 1024, size(need.kv_cache), size(need.engine),
      size(need.total()), place);
}

}  // namespace berth::controllers
