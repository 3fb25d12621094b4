#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "base/quantity.h"
#include "base/time.h"
#include "objects/validate/rules.h"

namespace berth::objects {
namespace {

void queue(const JsonObject& object, IssueSink& sink) {
  const std::string_view name = text_of(object_of(object, "metadata"), "name");
  const PathScope scope(sink.path, "spec");
  if (!name.empty() && text_of(object_of(object, "spec"), "parent") == name)
    sink.add(Issue::Kind::kInvalid, "parent", "a queue cannot be its own parent",
             "name another queue, or remove it to make this one a root");
}

void check_guarantee(std::string_view name, std::string_view guaranteed, std::string_view limit,
                     IssueSink& sink) {
  const auto low = Quantity::parse(guaranteed);
  const auto high = Quantity::parse(limit);
  if (low && high && *low > *high)
    sink.add(Issue::Kind::kInvalid, name,
             fmt::format("{} is more than the limit of {}", low->to_string(), high->to_string()),
             "raise the limit or lower the guarantee");
}

/// Times of queues: how long to wait, which is never less than nothing.
void queue_times(const JsonObject& times, IssueSink& sink) {
  for (const std::string_view field : {"reclaimDelay", "protection", "replaceTimeout"}) {
    const auto time = parse_duration(text_of(times, field));
    if (time && time->ns < 0)
      sink.add(Issue::Kind::kInvalid, field,
               fmt::format("must not be negative, not {}", text_of(times, field)),
               "`0s` means at once");
  }
}

void queue_spec(const JsonObject& spec, IssueSink& sink) {
  queue_times(spec, sink);
  const JsonObject& guaranteed = object_of(spec, "guaranteed");
  const JsonObject& limit = object_of(spec, "limit");
  const PathScope scope(sink.path, "guaranteed");
  for (const auto& [key, value] : guaranteed)
    if (limit.contains(key))
      check_guarantee(key, text_of(guaranteed, key), text_of(limit, key), sink);
}

void queue_accelerator(const JsonObject& object, IssueSink& sink) {
  check_guarantee("guaranteed", text_of(object, "guaranteed"), text_of(object, "limit"), sink);
}

void price(const JsonObject& object, IssueSink& sink) {
  const bool accelerator = !text_of(object, "accelerator").empty();
  const bool resource = !text_of(object, "resource").empty();
  if (accelerator && resource)
    sink.add(Issue::Kind::kInvalid, "resource", "cannot be used with `accelerator`",
             "write two prices");
  if (!accelerator && !resource)
    sink.add(Issue::Kind::kRequired, "accelerator", "must be set, or `resource`",
             "say what the price is for");
}

/// Money is added up and compared, so it is of one currency; and what a thing costs at an instant
/// is said once.
void configuration(const JsonObject& object, IssueSink& sink) {
  const JsonArray& prices = array_of(object, "prices");
  std::string_view currency;
  std::map<std::pair<std::string_view, std::string_view>, size_t> seen;
  for (size_t i = 0; i < prices.size(); ++i) {
    if (!prices[i].is_object()) continue;
    const JsonObject& price = prices[i].get_object();
    const PathScope list(sink.path, "prices");
    const PathScope item(sink.path, i);
    const std::string_view this_currency = text_of(price, "currency");
    if (currency.empty()) currency = this_currency;
    if (!this_currency.empty() && this_currency != currency)
      sink.add(Issue::Kind::kInvalid, "currency",
               fmt::format("`{}`, but the prices before are in `{}`", this_currency, currency),
               "give all prices in one currency");
    const std::string_view field =
        text_of(price, "accelerator").empty() ? "resource" : "accelerator";
    const std::string_view of = text_of(price, field);
    if (of.empty()) continue;
    const auto [first, fresh] = seen.try_emplace({of, text_of(price, "from")}, i);
    if (!fresh)
      sink.add(Issue::Kind::kDuplicate, field,
               fmt::format("`{}` has a price for the same time in prices[{}]", of, first->second),
               "say with `from` since when each price applies, or remove one");
  }
}

void time_slicing(const JsonObject& object, IssueSink& sink) {
  const std::string_view policy = text_of(object, "policy");
  if (policy.empty() || policy == "off") return;
  const auto round = parse_duration(text_of(object, "round"));
  const auto restart = parse_duration(text_of(object, "restartCost"));
  if (round && restart && (*round <= Duration{} || *round < *restart * 2))
    sink.add(Issue::Kind::kInvalid, "round",
             fmt::format("rounds of {} would be lost to restarts of {}", format_duration(*round),
                         format_duration(*restart)),
             "give at least twice `restartCost`");
}

}  // namespace

ValueRule berth_value_rule(std::string_view struct_name) {
  static const std::unordered_map<std::string_view, ValueRule> kRules = {
      {"berth.v1alpha1.Queue", queue},
      {"berth.v1alpha1.QueueAccelerator", queue_accelerator},
      {"berth.v1alpha1.QueueSpec", queue_spec},
      {"config.v1alpha1.BerthConfiguration", configuration},
      {"config.v1alpha1.QueueDefaults", queue_times},
      {"config.v1alpha1.Price", price},
      {"config.v1alpha1.TimeSlicing", time_slicing},
  };
  const auto at = kRules.find(struct_name);
  return at != kRules.end() ? at->second : nullptr;
}

}  // namespace berth::objects
