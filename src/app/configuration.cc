#include "app/configuration.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>

#include <fmt/format.h>

#include "objects/defaults.h"
#include "objects/json.h"
#include "objects/names.h"
#include "objects/schema.h"
#include "objects/validate.h"
#include "objects/yaml.h"

namespace berth::app {
namespace {

using objects::find_array;
using objects::find_string;

constexpr std::string_view kKind = "BerthConfiguration";
constexpr int64_t kOneMilli = 1000;

Duration duration_at(const Json& configuration, std::string_view section, std::string_view field) {
  return parse_duration(find_string(configuration, {section, field})).value_or(Duration{});
}

Price read_price(const Json& json) {
  Price price;
  price.of = find_string(json, {"accelerator"}, find_string(json, {"resource"}));
  const Json* per_hour = objects::find(json, {"perHour"});
  price.per_hour.micro = std::llround(per_hour->to_number<double>() * 1e6);
  if (const auto from = parse_time(find_string(json, {"from"}))) price.from = *from;
  return price;
}

/// Of an object that was checked and has its defaults.
Configuration read(const Json& json) {
  Configuration configuration;
  core::PolicySet& policy = configuration.scheduler.policy;
  policy.profile = find_string(json, {"placement", "policy"});
  policy.default_times = {.reclaim_delay = duration_at(json, "queueDefaults", "reclaimDelay"),
                          .protection = duration_at(json, "queueDefaults", "protection"),
                          .replace_timeout = duration_at(json, "queueDefaults", "replaceTimeout")};
  policy.consolidate = find_string(json, {"placement", "consolidation"}) == "on";
  if (const std::string_view slicer = find_string(json, {"timeSlicing", "policy"}); slicer != "off")
    policy.rounds = {.policy = std::string(slicer),
                     .length = duration_at(json, "timeSlicing", "round"),
                     .restart_cost = duration_at(json, "timeSlicing", "restartCost")};
  policy.usage_half_life = duration_at(json, "queueDefaults", "usageHalfLife");
  configuration.scheduler.default_reclaim =
      find_string(json, {"queueDefaults", "reclaim"}) == "guarantee" ? core::Reclaim::kGuarantee
                                                                     : core::Reclaim::kFairShare;
  for (const Json& price : find_array(json, {"prices"})) {
    configuration.prices.push_back(read_price(price));
    configuration.currency = find_string(price, {"currency"});
  }
  return configuration;
}

ConfigurationErrors check(const objects::Registry& registry,
                          const std::vector<objects::YamlDocument>& documents,
                          const std::string& file) {
  const auto wrong = [](std::string what, std::string where, std::string fix) {
    return ConfigurationErrors{
        Error{ErrorCode::kInvalid, std::move(what), std::move(where), std::move(fix)}};
  };
  if (documents.empty())
    return wrong("there is no configuration in it", file,
                 "start it with `apiVersion: config.berth.dev/v1alpha1` and `kind: "
                 "BerthConfiguration`");
  ConfigurationErrors errors = objects::check_manifest(registry, documents.front(), file);
  const auto kind = objects::kind_of(documents.front().value);
  if (errors.empty() && kind != kKind) {
    const objects::Position at = documents.front().positions.find("kind");
    return wrong(fmt::format("kind: a {} is not a configuration", kind),
                 fmt::format("{}:{}:{}", file, at.line, at.column),
                 "`kind: BerthConfiguration` is read by `berth serve`; other kinds are for "
                 "`berth apply -f`");
  }
  if (documents.size() > 1)
    errors.push_back(Error{ErrorCode::kInvalid, "it holds more than one document", file,
                           "keep one BerthConfiguration in it"});
  return errors;
}

}  // namespace

std::expected<Configuration, ConfigurationErrors> read_configuration(std::string_view text,
                                                                     const std::string& file) {
  const auto documents = objects::parse_yaml(text, file);
  if (!documents) return std::unexpected(ConfigurationErrors{documents.error()});
  const std::unique_ptr<objects::Registry> registry = objects::Registry::built_in();
  if (ConfigurationErrors errors = check(*registry, *documents, file); !errors.empty())
    return std::unexpected(std::move(errors));
  Json json = documents->front().value;
  const objects::Kind& kind =
      *registry->find_kind(objects::api_version_of(json), objects::kind_of(json));
  objects::prune(kind, json);
  // Sections that are left out have their defaults as well.
  for (const std::string_view section : {"placement", "queueDefaults", "timeSlicing"})
    objects::ensure_object(json, {section});
  objects::apply_defaults(kind, json);
  return read(json);
}

std::expected<Configuration, ConfigurationErrors> load_configuration(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in || in.bad())
    return std::unexpected(ConfigurationErrors{
        Error{ErrorCode::kInvalid, "the configuration cannot be read", file,
              "give --config a file that is there; examples/configuration.yaml is one"}});
  return read_configuration(text, file);
}

bridge::SchedulerConfiguration scheduler_configuration(const Configuration& configuration,
                                                       Time now) {
  std::map<std::string, const Price*> in_force;
  for (const Price& price : configuration.prices) {
    if (price.from > now) continue;
    const Price*& known = in_force[price.of];
    if (known == nullptr || known->from <= price.from) known = &price;
  }
  // CPU and memory are dimensions of their own in fair shares.
  std::erase_if(in_force, [](const auto& entry) {
    return entry.first == "cpu" || entry.first == "memory" || entry.first == "ephemeral-storage";
  });
  int64_t cheapest = 0;
  for (const auto& [of, price] : in_force)
    if (price->per_hour.micro > 0 && (cheapest == 0 || price->per_hour.micro < cheapest))
      cheapest = price->per_hour.micro;
  bridge::SchedulerConfiguration result = configuration.scheduler;
  for (const auto& [of, price] : in_force) {
    const double ratio =
        cheapest == 0 ? 1
                      : static_cast<double>(price->per_hour.micro) / static_cast<double>(cheapest);
    result.policy.accelerator_weights_milli.emplace_back(
        of, std::max<int64_t>(1, std::llround(ratio * kOneMilli)));
  }
  return result;
}

core::PriceList price_list(const Configuration& configuration) {
  core::PriceList prices;
  for (const Price& price : configuration.prices) prices.set(price.of, price.per_hour, price.from);
  return prices;
}

std::optional<Time> next_price(const Configuration& configuration, Time now) {
  std::optional<Time> next;
  for (const Price& price : configuration.prices)
    if (price.from > now && (!next || price.from < *next)) next = price.from;
  return next;
}

}  // namespace berth::app
