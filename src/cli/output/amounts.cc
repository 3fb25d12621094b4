#include "cli/output/amounts.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace berth::cli {

Amounts read_amounts(const JsonObject& object) {
  Amounts amounts;
  for (const auto& [name, value] : object) {
    std::string text;
    if (value.is_string()) text = value.get_string();
    if (value.is_int64()) text = std::to_string(value.get_int64());
    const auto amount = Quantity::parse(text);
    if (amount) amounts[std::string(name)] = *amount;
  }
  return amounts;
}

void add_amounts(Amounts& to, const Amounts& more) {
  for (const auto& [name, amount] : more) {
    const auto [slot, fresh] = to.try_emplace(name, amount);
    if (!fresh) {
      slot->second =
          Quantity::from_milli(slot->second.milli() + amount.milli(), slot->second.format());
    }
  }
}

Amounts pod_requests(const Json& pod) {
  Amounts total;
  for (const Json& container : objects::find_array(pod, {"spec", "containers"})) {
    add_amounts(total, read_amounts(objects::find_object(container, {"resources", "requests"})));
  }
  for (const Json& container : objects::find_array(pod, {"spec", "initContainers"})) {
    for (const auto& [name, amount] :
         read_amounts(objects::find_object(container, {"resources", "requests"}))) {
      Quantity& slot = total.try_emplace(name, amount).first->second;
      slot = std::max(slot, amount);
    }
  }
  return total;
}

Result<Amounts> parse_amounts(std::string_view text) {
  Amounts amounts;
  for (std::string_view part : split(text, ',')) {
    if (trim(part).empty()) continue;
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return fail(ErrorCode::kInvalid, fmt::format("`{}` is not RESOURCE=AMOUNT", part), "",
                  "for example nvidia.com/gpu=2,cpu=8,memory=64Gi");
    }
    BERTH_TRY(const Quantity amount, Quantity::parse(trim(part.substr(equals + 1))));
    amounts[std::string(trim(part.substr(0, equals)))] = amount;
  }
  return amounts;
}

std::string format_amounts(const Amounts& amounts) {
  std::string text;
  for (const auto& [name, amount] : amounts) {
    if (!text.empty()) text += ',';
    text += name + "=" + short_amount(name, amount);
  }
  return text.empty() ? "-" : text;
}

Json to_json(const Amounts& amounts) {
  JsonObject object;
  for (const auto& [name, amount] : amounts) object[name] = amount.to_string();
  return object;
}

std::string short_amount(std::string_view resource, Quantity amount) {
  const bool bytes = resource == "memory" || resource.ends_with("storage");
  if (!bytes) return fmt::format("{:g}", static_cast<double>(amount.milli()) / 1000);
  const double value = static_cast<double>(amount.units());
  const double mebi = value / (1 << 20);
  if (mebi < 1) return fmt::format("{:.0f}Ki", value / 1024);
  if (mebi < 10 * 1024) return fmt::format("{:.0f}Mi", mebi);
  return fmt::format("{:.0f}Gi", mebi / 1024);
}

}  // namespace berth::cli
