#include "node/devices/emulated.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/quantity.h"
#include "base/text.h"

namespace berth::node {
namespace {

constexpr int kMostDevices = 64;
constexpr int kLinked = 8;
constexpr size_t kLongestLabel = 63;
constexpr char kExample[] = "write it as nvidia.com/gpu=4:80Gi or nvidia.com/gpu=4:80Gi:H100";

bool is_label(std::string_view text) {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && text.size() <= kLongestLabel && alphanumeric(text.front()) &&
         alphanumeric(text.back()) && std::ranges::all_of(text, [&](char c) {
           return alphanumeric(c) || c == '-' || c == '_' || c == '.';
         });
}

}  // namespace

Result<EmulatedDevices> parse_emulated_devices(std::string_view text) {
  const auto wrong = [&](std::string what) {
    return fail(ErrorCode::kInvalid, std::move(what), fmt::format("--emulate-device {}", text),
                kExample);
  };
  EmulatedDevices spec;
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) return wrong("there is no `=`");
  spec.resource = text.substr(0, equals);
  const size_t slash = spec.resource.find('/');
  if (slash == std::string::npos || !is_label(std::string_view(spec.resource).substr(0, slash)) ||
      !is_label(std::string_view(spec.resource).substr(slash + 1)))
    return wrong(fmt::format("`{}` is not an extended resource (vendor/name)", spec.resource));

  const std::vector<std::string_view> parts = split(text.substr(equals + 1), ':');
  if (parts.size() < 2 || parts.size() > 3)
    return wrong("after the `=` there must be a number and a memory size");
  const auto [end, error] =
      std::from_chars(parts[0].data(), parts[0].data() + parts[0].size(), spec.count);
  if (error != std::errc() || end != parts[0].data() + parts[0].size() || spec.count < 1 ||
      spec.count > kMostDevices)
    return wrong(fmt::format("`{}` is not a number from 1 to {}", parts[0], kMostDevices));
  const auto memory = Quantity::parse(parts[1]);
  if (!memory || memory->units() < 1)
    return wrong(fmt::format("`{}` is not a memory size", parts[1]));
  spec.memory_bytes = memory->units();
  spec.model = parts.size() == 3 ? std::string(parts[2]) : "emulated";
  if (!is_label(spec.model))
    return wrong(fmt::format("`{}` is not a model: letters, digits, `-`, `_` and `.`", spec.model));
  return spec;
}

std::string device_id_prefix(std::string_view resource) {
  const size_t slash = resource.find('/');
  const std::string_view name = resource.substr(slash == std::string_view::npos ? 0 : slash + 1);
  if (resource == "nvidia.com/gpu" || slash == std::string_view::npos) return std::string(name);
  return fmt::format("{}-{}", resource.substr(0, std::min(resource.find('.'), slash)), name);
}

std::vector<Device> emulate_devices(const EmulatedDevices& spec) {
  std::vector<Device> devices;
  const std::string prefix = device_id_prefix(spec.resource);
  for (int i = 0; i < spec.count; ++i) {
    Device device;
    device.resource = spec.resource;
    device.id = fmt::format("{}-{}", prefix, i);
    device.uuid = fmt::format("EMULATED-{}", device.id);
    device.model = spec.model;
    device.memory_bytes = spec.memory_bytes;
    device.link_domain = fmt::format("emulated-{}-{}", prefix, i / kLinked);
    devices.push_back(std::move(device));
  }
  return devices;
}

}  // namespace berth::node
