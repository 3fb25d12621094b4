#include "documents/container_size.h"

#include <string_view>

#include "base/quantity.h"

namespace berth::documents {
namespace {

Quantity amount_of(const JsonObject& amounts, std::string_view name) {
  const Json* value = amounts.if_contains(name);
  if (value == nullptr) return {};
  if (value->is_int64()) return Quantity::from_units(value->get_int64());
  return value->is_string() ? Quantity::parse(value->get_string()).value_or(Quantity())
                            : Quantity();
}

JsonObject amounts_of(const core::ContainerSize& size) {
  JsonObject amounts;
  if (size.cpu_milli > 0) amounts["cpu"] = Quantity::from_milli(size.cpu_milli).to_string();
  if (size.memory_bytes > 0)
    amounts["memory"] = Quantity::from_bytes(size.memory_bytes).to_string();
  return amounts;
}

}  // namespace

core::ContainerSize size_of(const JsonObject& amounts) {
  return {amount_of(amounts, "cpu").milli(), amount_of(amounts, "memory").units()};
}

JsonObject resized(const core::ContainerSize& request, const core::ContainerSize& limit,
                   const core::ContainerSize& size) {
  JsonObject resources{{"requests", amounts_of(size)}};
  JsonObject limits =
      amounts_of({core::scaled_limit(limit.cpu_milli, request.cpu_milli, size.cpu_milli),
                  core::scaled_limit(limit.memory_bytes, request.memory_bytes, size.memory_bytes)});
  if (!limits.empty()) resources["limits"] = std::move(limits);
  return resources;
}

}  // namespace berth::documents
