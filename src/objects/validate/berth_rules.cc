#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "base/quantity.h"
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

void queue_spec(const JsonObject& spec, IssueSink& sink) {
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

}  // namespace

ValueRule berth_value_rule(std::string_view struct_name) {
  static const std::unordered_map<std::string_view, ValueRule> kRules = {
      {"berth.v1alpha1.Queue", queue},
      {"berth.v1alpha1.QueueAccelerator", queue_accelerator},
      {"berth.v1alpha1.QueueSpec", queue_spec},
      {"config.v1alpha1.Price", price},
  };
  const auto at = kRules.find(struct_name);
  return at != kRules.end() ? at->second : nullptr;
}

}  // namespace berth::objects
