#include "node/pod/env.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/quantity.h"

namespace berth::node {
namespace {

using objects::find;
using objects::find_array;
using objects::find_bool;
using objects::find_string;

std::map<std::string, std::string> as_map(const Environment& env) {
  std::map<std::string, std::string> out;
  for (const auto& [name, value] : env) out[name] = value;
  return out;
}

/// `metadata.labels['a.b/c']`: the part in quotes, when `path` is a subscript of `field`.
std::optional<std::string> subscript(std::string_view path, std::string_view field) {
  if (!path.starts_with(field) || !path.substr(field.size()).starts_with("['") ||
      !path.ends_with("']"))
    return std::nullopt;
  const size_t from = field.size() + 2;
  return std::string(path.substr(from, path.size() - 2 - from));
}

std::string lookup(const std::map<std::string, std::string>& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? std::string() : found->second;
}

/// `key="value"` lines, as the downward API writes whole maps.
std::string map_text(const std::map<std::string, std::string>& map) {
  std::string out;
  for (const auto& [key, value] : map) {
    out += key + "=\"";
    for (const char c : value) {
      if (c == '"' || c == '\\') out.push_back('\\');
      if (c == '\n')
        out += "\\n";
      else
        out.push_back(c);
    }
    out += "\"\n";
  }
  return out;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ",") + part;
  return out;
}

Result<std::string> value_from(const PodSpec& pod, const ContainerSpec& container,
                               const PodInputs& inputs, const PodSurroundings& around,
                               const Json& source) {
  if (const Json* field = find(source, {"fieldRef"}))
    return field_value(pod, around, find_string(*field, {"fieldPath"}));
  if (const Json* resource = find(source, {"resourceFieldRef"})) {
    const std::string_view name = find_string(*resource, {"containerName"});
    return resource_value(pod, name.empty() ? &container : pod.find_container(name), around,
                          *resource);
  }
  for (const auto& [key, kind] : {std::pair{"configMapKeyRef", InputKey::Kind::kConfigMap},
                                  std::pair{"secretKeyRef", InputKey::Kind::kSecret}})
    if (const Json* reference = find(source, {key}))
      return input_value(inputs, kind, std::string(find_string(*reference, {"name"})),
                         find_string(*reference, {"key"}));
  return fail(ErrorCode::kUnsupported, "unknown valueFrom");
}

bool optional_reference(const Json& source) {
  return find_bool(source, {"configMapKeyRef", "optional"}) ||
         find_bool(source, {"secretKeyRef", "optional"});
}

}  // namespace

std::string expand(std::string_view text, const std::map<std::string, std::string>& known) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out.push_back(text[i]);
      continue;
    }
    if (text[i + 1] == '$') {
      out.push_back('$');
      ++i;
      continue;
    }
    const size_t close = text[i + 1] == '(' ? text.find(')', i) : std::string_view::npos;
    if (close == std::string_view::npos) {
      out.push_back('$');
      continue;
    }
    const auto found = known.find(std::string(text.substr(i + 2, close - i - 2)));
    out += found == known.end() ? text.substr(i, close - i + 1) : std::string_view(found->second);
    i = close;
  }
  return out;
}

Result<std::string> field_value(const PodSpec& pod, const PodSurroundings& around,
                                std::string_view path) {
  if (path == "metadata.name") return pod.name;
  if (path == "metadata.namespace") return pod.ns;
  if (path == "metadata.uid") return pod.uid;
  if (path == "metadata.labels") return map_text(pod.labels);
  if (path == "metadata.annotations") return map_text(pod.annotations);
  if (const auto key = subscript(path, "metadata.labels")) return lookup(pod.labels, *key);
  if (const auto key = subscript(path, "metadata.annotations"))
    return lookup(pod.annotations, *key);
  if (path == "spec.nodeName") return around.node_name;
  if (path == "spec.serviceAccountName") return pod.service_account;
  if (path == "status.hostIP" || path == "status.hostIPs") return around.host_ip;
  if (path == "status.podIP")
    return around.pod_ips.empty() ? std::string() : around.pod_ips.front();
  if (path == "status.podIPs") return joined(around.pod_ips);
  return fail(ErrorCode::kInvalid, fmt::format("unknown fieldPath `{}`", path));
}

Result<std::string> resource_value(const PodSpec& pod, const ContainerSpec* container,
                                   const PodSurroundings& around, const Json& reference) {
  if (container == nullptr)
    return fail(ErrorCode::kInvalid,
                fmt::format("no container `{}` in pod {}",
                            find_string(reference, {"containerName"}), pod.name));
  const std::string_view resource = find_string(reference, {"resource"});
  int64_t milli = 0;
  const auto bytes = [](std::optional<int64_t> value, int64_t fallback) {
    return Quantity::from_units(value.value_or(fallback)).milli();
  };
  if (resource == "limits.cpu")
    milli = container->limits.cpu_milli.value_or(around.node_cpu_milli);
  else if (resource == "requests.cpu")
    milli = container->requests.cpu_milli.value_or(0);
  else if (resource == "limits.memory")
    milli = bytes(container->limits.memory_bytes, around.node_memory_bytes);
  else if (resource == "requests.memory")
    milli = bytes(container->requests.memory_bytes, 0);
  else if (resource == "limits.ephemeral-storage")
    milli = bytes(container->limits.ephemeral_storage_bytes, around.node_ephemeral_storage_bytes);
  else if (resource == "requests.ephemeral-storage")
    milli = bytes(container->requests.ephemeral_storage_bytes, 0);
  else
    return fail(ErrorCode::kInvalid, fmt::format("unknown resource `{}`", resource));
  int64_t divisor = 1000;
  if (const std::string_view text = find_string(reference, {"divisor"}); !text.empty()) {
    BERTH_TRY(const Quantity quantity, Quantity::parse(text));
    if (quantity.milli() > 0) divisor = quantity.milli();
  }
  return fmt::format("{}", milli / divisor + (milli % divisor != 0 ? 1 : 0));
}

Result<Environment> resolve_env(const PodSpec& pod, const ContainerSpec& container,
                                const PodInputs& inputs, const PodSurroundings& around) {
  Environment out;
  const auto set = [&](const std::string& name, std::string value) {
    for (auto& [known, old] : out)
      if (known == name) {
        old = std::move(value);
        return;
      }
    out.emplace_back(name, std::move(value));
  };
  for (const Json& from : find_array(container.source, {"envFrom"})) {
    const std::string prefix(find_string(from, {"prefix"}));
    for (const auto& [key, kind] : {std::pair{"configMapRef", InputKey::Kind::kConfigMap},
                                    std::pair{"secretRef", InputKey::Kind::kSecret}}) {
      const Json* reference = find(from, {key});
      if (reference == nullptr) continue;
      const auto values =
          input_values(inputs, kind, std::string(find_string(*reference, {"name"})));
      if (!values && values.error().code == ErrorCode::kNotFound &&
          find_bool(*reference, {"optional"}))
        continue;
      if (!values) return std::unexpected(values.error());
      for (const auto& [name, value] : *values)
        if (name.find('=') == std::string::npos) set(prefix + name, value);
    }
  }
  for (const Json& entry : find_array(container.source, {"env"})) {
    const std::string name(find_string(entry, {"name"}));
    const Json* source = find(entry, {"valueFrom"});
    if (source == nullptr) {
      set(name, expand(find_string(entry, {"value"}), as_map(out)));
      continue;
    }
    auto value = value_from(pod, container, inputs, around, *source);
    if (!value && value.error().code == ErrorCode::kNotFound && optional_reference(*source))
      continue;
    if (!value) return std::unexpected(value.error());
    set(name, *std::move(value));
  }
  return out;
}

std::vector<std::string> merge_env(const std::vector<std::string>& image,
                                   const std::vector<std::string>& devices,
                                   const Environment& own) {
  std::vector<std::string> out;
  const auto set = [&](std::string entry) {
    const std::string_view name = std::string_view(entry).substr(0, entry.find('=') + 1);
    const auto same = std::find_if(out.begin(), out.end(),
                                   [&](const std::string& e) { return e.starts_with(name); });
    if (same == out.end())
      out.push_back(std::move(entry));
    else
      *same = std::move(entry);
  };
  set("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  for (const std::string& entry : image)
    if (entry.find('=') != std::string::npos) set(entry);
  for (const std::string& entry : devices) set(entry);
  for (const auto& [name, value] : own) set(name + "=" + value);
  return out;
}

std::vector<std::string> resolve_args(const ContainerSpec& container, const ImageConfig& image,
                                      const Environment& env) {
  const auto known = as_map(env);
  std::vector<std::string> out;
  const auto append = [&](const std::vector<std::string>& words, bool expanding) {
    for (const std::string& word : words) out.push_back(expanding ? expand(word, known) : word);
  };
  if (container.command && !container.command->empty()) {
    append(*container.command, true);
    if (container.args) append(*container.args, true);
    return out;
  }
  append(image.entrypoint, false);
  if (container.args && !container.args->empty())
    append(*container.args, true);
  else
    append(image.cmd, false);
  return out;
}

}  // namespace berth::node
