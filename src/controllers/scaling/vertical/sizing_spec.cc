#include "controllers/scaling/vertical/sizing_spec.h"

#include <fmt/format.h>

#include "base/quantity.h"
#include "controllers/scaling/vertical/use_history.h"
#include "documents/container_size.h"
#include "objects/json_text.h"

namespace berth::controllers {
namespace {

using objects::find_array;
using objects::find_int;
using objects::find_object;
using objects::find_string;

Result<core::SizeRange> range(const Object& object, std::string_view annotation,
                              std::string_view example, int64_t (*amount)(const Quantity&)) {
  const std::string_view text = object.annotation(annotation);
  if (text.empty()) return core::SizeRange{};
  const size_t dots = std::min(text.find(".."), text.size());
  const auto least = Quantity::parse(text.substr(0, dots));
  const auto most = Quantity::parse(text.substr(std::min(dots + 2, text.size())));
  if (!least || !most || least->milli() <= 0 || *most < *least)
    return fail(ErrorCode::kInvalid, fmt::format("{}: `{}` is not a range", annotation, text),
                to_string(object.key), fmt::format("write one such as {}", example));
  return core::SizeRange{amount(*least), amount(*most)};
}

Result<SizingSpec> read(const Object& deployment) {
  SizingSpec spec;
  BERTH_TRY(spec.cpu, range(deployment, kScaleCpu, "100m..2",
                            [](const Quantity& cores) { return cores.milli(); }));
  BERTH_TRY(spec.memory, range(deployment, kScaleMemory, "64Mi..2Gi",
                               [](const Quantity& bytes) { return bytes.units(); }));
  if (const std::string_view text = deployment.annotation(kScaleWindow); !text.empty()) {
    const auto window = parse_duration(text);
    if (!window || *window < spec.rule.fit.least_time || *window > UseHistory::kLongest)
      return fail(ErrorCode::kInvalid,
                  fmt::format("{}: `{}` is no span from 30s to 1h", kScaleWindow, text),
                  to_string(deployment.key), "write one such as 5m");
    spec.rule.window = *window;
  }
  return spec;
}

JsonObject document(const core::ContainerSize& size) {
  return JsonObject{{"cpu", Quantity::from_milli(size.cpu_milli).to_string()},
                    {"memory", Quantity::from_bytes(size.memory_bytes).to_string()}};
}

/// As a pod has it: who states a limit alone asks for as much.
core::ContainerSize request_of(const Json& container, const core::ContainerSize& limit) {
  core::ContainerSize request =
      documents::size_of(find_object(container, {"resources", "requests"}));
  if (request.cpu_milli == 0) request.cpu_milli = limit.cpu_milli;
  if (request.memory_bytes == 0) request.memory_bytes = limit.memory_bytes;
  return request;
}

}  // namespace

std::optional<Result<SizingSpec>> read_sizing(const Object& deployment) {
  if (deployment.deleting ||
      (deployment.annotation(kScaleCpu).empty() && deployment.annotation(kScaleMemory).empty()))
    return std::nullopt;
  return read(deployment);
}

Sizing Sizing::read(const Object& deployment) {
  Sizing fresh;
  for (const Json& json :
       find_array(*deployment.json, {"spec", "template", "spec", "containers"})) {
    Container& container = fresh.containers[std::string(find_string(json, {"name"}))];
    container.limit = documents::size_of(find_object(json, {"resources", "limits"}));
    container.request = container.size = request_of(json, container.limit);
  }
  const auto parsed = objects::parse_json(deployment.annotation(kSizingState));
  if (!parsed || !parsed->value.is_object()) return fresh;
  const Json& json = parsed->value;
  fresh.changes = find_int(json, {"changes"});
  if (const auto changed = parse_time(find_string(json, {"changed"}))) fresh.changed = *changed;
  Sizing learned = fresh;
  for (auto& [name, container] : learned.containers) {
    const auto at = [&](std::string_view part) {
      return documents::size_of(find_object(json, {"containers", name, part}));
    };
    if (at("template") != container.request) return fresh;
    container.size = at("size");
    container.killed_bytes = at("killed").memory_bytes;
  }
  for (const Json& each : find_array(json, {"heldUp"}))
    if (each.is_string()) learned.held_up.emplace_back(each.get_string());
  return learned;
}

std::string Sizing::text() const {
  JsonObject all;
  for (const auto& [name, container] : containers) {
    JsonObject each{{"template", document(container.request)}, {"size", document(container.size)}};
    if (container.killed_bytes > 0) each["killed"] = document({0, container.killed_bytes});
    all[name] = std::move(each);
  }
  JsonObject json{{"containers", std::move(all)}, {"changes", changes}};
  if (changes > 0) json["changed"] = format_micro_time(changed);
  if (!held_up.empty()) {
    JsonArray names;
    for (const std::string& name : held_up) names.emplace_back(name);
    json["heldUp"] = std::move(names);
  }
  return objects::canonical_json(json);
}

}  // namespace berth::controllers
