#include <set>
#include <string>
#include <unordered_map>

#include <fmt/format.h>

#include "base/quantity.h"
#include "objects/validate/rules.h"

namespace berth::objects {
namespace {

void model(const JsonObject& object, IssueSink& sink) {
  const std::string_view uri = text_of(object, "uri");
  if (uri.empty()) return;
  const bool remote = uri.starts_with("hf://");
  const std::string_view path = uri.starts_with("file://") ? uri.substr(7) : uri;
  const std::string_view name = remote ? uri.substr(5) : std::string_view();
  if (remote ? name.find('/') == std::string_view::npos || name.ends_with('/')
             : !path.starts_with('/'))
    sink.add(Issue::Kind::kInvalid, "uri", fmt::format("`{}` names no model", uri),
             "write an absolute path, or hf://ORGANISATION/NAME");
  if (!remote && path.find("/../") != std::string_view::npos)
    sink.add(Issue::Kind::kInvalid, "uri", "goes through `..`", "write the path without it");
}

void engine(const JsonObject& object, IssueSink& sink) {
  const bool has_command = !array_of(object, "command").empty();
  const bool host = text_of(object, "image") == "host";
  if (text_of(object, "kind") == "custom" && host && !has_command)
    sink.add(Issue::Kind::kRequired, "command",
             "must be set for a custom engine of the image `host`", "say what to run");
  if (text_of(object, "kind") == "custom" && member(object, "port") == nullptr)
    sink.add(Issue::Kind::kRequired, "port", "must be set for a custom engine",
             "say on which port it answers");
}

void variant(const JsonObject& object, IssueSink& sink) {
  const auto count = Quantity::parse(text_of(object, "count"));
  if (!count) return;
  if (*count < Quantity{})
    sink.add(Issue::Kind::kInvalid, "count", "must not be negative", "write 0 for no device");
  else if (count->milli() > 1000 && count->milli() % 1000 != 0)
    sink.add(Issue::Kind::kInvalid, "count", "must be a whole number of devices, or a share of one",
             "write 0.5, 1 or 2");
}

void check_variants(const JsonObject& spec, IssueSink& sink) {
  std::set<std::string_view> names;
  const JsonArray& variants = array_of(spec, "variants");
  for (size_t i = 0; i < variants.size(); ++i) {
    const JsonObject* one = variants[i].if_object();
    const std::string_view name = one == nullptr ? std::string_view() : text_of(*one, "name");
    const PathScope list(sink.path, "variants");
    const PathScope item(sink.path, i);
    if (one != nullptr && name.empty() && variants.size() > 1)
      sink.add(Issue::Kind::kRequired, "name", "must be set where there are several variants",
               "give each a name");
    if (!name.empty() && !names.insert(name).second)
      sink.add(Issue::Kind::kInvalid, "name", fmt::format("`{}` is taken", name),
               "give each variant a name of its own");
  }
}

/// What stands by is part of what there may be.
void check_standby(const JsonObject& spec, IssueSink& sink) {
  const Json* standby = member(object_of(spec, "scaling"), "standby");
  const Json* most = member(object_of(spec, "replicas"), "max");
  if (standby == nullptr || most == nullptr || !standby->is_int64() || !most->is_int64() ||
      standby->get_int64() <= most->get_int64())
    return;
  const PathScope scope(sink.path, "scaling");
  sink.add(
      Issue::Kind::kInvalid, "standby",
      fmt::format("{} is more than `replicas.max`, {}", standby->get_int64(), most->get_int64()),
      "raise `replicas.max`, which includes them, or lower it");
}

void service_spec(const JsonObject& spec, IssueSink& sink) {
  check_variants(spec, sink);
  check_standby(spec, sink);
  const bool fetched = text_of(object_of(spec, "model"), "uri").starts_with("hf://");
  const std::string_view kind = text_of(object_of(spec, "engine"), "kind");
  if (fetched && (kind == "llamacpp" || kind == "triton")) {
    const PathScope scope(sink.path, "model");
    sink.add(Issue::Kind::kInvalid, "uri", fmt::format("the engine {} fetches no models", kind),
             "write the path of a file or folder on the machine");
  }
}

void replica_range(const JsonObject& range, IssueSink& sink) {
  const Json* low = member(range, "min");
  const Json* high = member(range, "max");
  if (low != nullptr && high != nullptr && low->is_int64() && high->is_int64() &&
      low->get_int64() > high->get_int64())
    sink.add(Issue::Kind::kInvalid, "min",
             fmt::format("{} is more than the maximum of {}", low->get_int64(), high->get_int64()),
             "raise `max` or lower `min`");
}

}  // namespace

ValueRule serving_value_rule(std::string_view struct_name) {
  static const std::unordered_map<std::string_view, ValueRule> kRules = {
      {"berth.v1alpha1.Engine", engine},
      {"berth.v1alpha1.Model", model},
      {"berth.v1alpha1.ModelServiceSpec", service_spec},
      {"berth.v1alpha1.ReplicaRange", replica_range},
      {"berth.v1alpha1.Variant", variant},
  };
  const auto at = kRules.find(struct_name);
  return at != kRules.end() ? at->second : nullptr;
}

}  // namespace berth::objects
