#include "controllers/scaling/replica_price.h"

#include <cmath>

#include "base/quantity.h"

namespace berth::controllers {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;

}  // namespace

Money replica_price(const VariantSpec& variant, const core::PriceList& prices, Time now) {
  const auto price = [&](const std::string& of) {
    return static_cast<double>(prices.at(of, now).micro);
  };
  const bool by_model = !variant.accelerator.empty() && prices.knows(variant.accelerator);
  double sum = static_cast<double>(variant.count_milli) / 1000 *
               price(by_model ? variant.accelerator : variant.resource);
  const Json resources(variant.resources);
  const auto add = [&](std::string_view name, const Json& amount) {
    const auto quantity = Quantity::parse(amount.is_string() ? amount.get_string() : "");
    if (!quantity || name == variant.resource) return;
    const double milli = static_cast<double>(quantity->milli());
    sum += price(std::string(name)) * milli / 1000 / (name == "memory" ? kGiB : 1);
  };
  const JsonObject& requests = objects::find_object(resources, {"requests"});
  for (const auto& [name, amount] : requests) add(name, amount);
  // A limit without a request is a request too.
  for (const auto& [name, amount] : objects::find_object(resources, {"limits"}))
    if (!requests.contains(name)) add(name, amount);
  return {std::llround(sum)};
}

}  // namespace berth::controllers
