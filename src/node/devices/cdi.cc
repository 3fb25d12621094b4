#include "node/devices/cdi.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "node/files.h"
#include "objects/yaml.h"

namespace berth::node {
namespace {

namespace fs = std::filesystem;
using objects::find;
using objects::find_array;
using objects::find_string;

std::vector<std::string> strings(const Json& root, std::string_view name) {
  std::vector<std::string> result;
  for (const Json& item : find_array(root, {name})) {
    if (item.is_string()) result.emplace_back(item.as_string());
  }
  return result;
}

ContainerEdits read_edits(const Json& owner) {
  ContainerEdits edits;
  const Json* root = find(owner, {"containerEdits"});
  if (root == nullptr) return edits;
  edits.env = strings(*root, "env");
  for (const Json& node : find_array(*root, {"deviceNodes"})) {
    DeviceNode device;
    device.path = find_string(node, {"path"});
    device.host_path = find_string(node, {"hostPath"}, device.path);
    device.permissions = find_string(node, {"permissions"}, "rw");
    if (!device.path.empty()) edits.device_nodes.push_back(std::move(device));
  }
  for (const Json& item : find_array(*root, {"mounts"})) {
    DeviceMount mount;
    mount.source = find_string(item, {"hostPath"});
    mount.target = find_string(item, {"containerPath"});
    const std::vector<std::string> options = strings(item, "options");
    mount.read_only = std::ranges::find(options, "ro") != options.end();
    if (!mount.source.empty() && !mount.target.empty()) edits.mounts.push_back(std::move(mount));
  }
  for (const Json& item : find_array(*root, {"hooks"})) {
    DeviceHook hook;
    hook.stage = find_string(item, {"hookName"});
    hook.path = find_string(item, {"path"});
    hook.args = strings(item, "args");
    hook.env = strings(item, "env");
    if (!hook.stage.empty() && !hook.path.empty()) edits.hooks.push_back(std::move(hook));
  }
  return edits;
}

Result<Json> read_spec(const std::string& path) {
  BERTH_TRY(const std::string text, read_file(path));
  if (path.ends_with(".json")) {
    boost::system::error_code error;
    Json spec = boost::json::parse(text, error);
    if (error)
      return fail(ErrorCode::kInvalid, "cannot be read as JSON: " + error.message(), path,
                  "let the device vendor's tool write it again");
    return spec;
  }
  BERTH_TRY(std::vector<objects::YamlDocument> documents, objects::parse_yaml(text, path));
  if (documents.size() != 1)
    return fail(ErrorCode::kInvalid, "does not hold one document", path,
                "let the device vendor's tool write it again");
  return std::move(documents.front().value);
}

}  // namespace

Result<CdiKinds> CdiSpecs::load(const std::vector<std::string>& directories) {
  CdiKinds kinds;
  for (const std::string& directory : directories) {
    std::vector<std::string> paths;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(directory, ignored)) {
      const std::string extension = entry.path().extension().string();
      if (extension == ".json" || extension == ".yaml" || extension == ".yml")
        paths.push_back(entry.path().string());
    }
    std::ranges::sort(paths);
    for (const std::string& path : paths) {
      BERTH_TRY(const Json spec, read_spec(path));
      kinds[std::string(find_string(spec, {"kind"}))].add(spec);
    }
  }
  return kinds;
}

std::vector<std::string> CdiSpecs::device_names() const {
  std::vector<std::string> names;
  for (const auto& [name, edits] : devices_)
    if (name != "all") names.push_back(name);
  const auto shorter = [](const std::string& a, const std::string& b) {
    return std::pair(a.size(), std::string_view(a)) < std::pair(b.size(), std::string_view(b));
  };
  std::ranges::sort(names, shorter);
  std::set<std::set<std::string>> seen;
  std::erase_if(names, [&](const std::string& name) {
    std::set<std::string> nodes;
    for (const DeviceNode& node : devices_.find(name)->second.device_nodes)
      nodes.insert(node.host_path);
    return !nodes.empty() && !seen.insert(std::move(nodes)).second;
  });
  return names;
}

void CdiSpecs::add(const Json& spec) {
  merge_edits(read_edits(spec), common_);
  for (const Json& device : find_array(spec, {"devices"})) {
    const std::string_view name = find_string(device, {"name"});
    if (!name.empty()) devices_.insert_or_assign(std::string(name), read_edits(device));
  }
}

const ContainerEdits* CdiSpecs::find(const std::vector<std::string>& names) const {
  for (const std::string& name : names) {
    const auto found = devices_.find(name);
    if (found != devices_.end()) return &found->second;
  }
  return nullptr;
}

void merge_edits(const ContainerEdits& from, ContainerEdits& into) {
  for (const std::string& variable : from.env) {
    if (std::ranges::find(into.env, variable) == into.env.end()) into.env.push_back(variable);
  }
  for (const DeviceNode& node : from.device_nodes) {
    if (std::ranges::find(into.device_nodes, node.path, &DeviceNode::path) ==
        into.device_nodes.end())
      into.device_nodes.push_back(node);
  }
  for (const DeviceMount& mount : from.mounts) {
    if (std::ranges::find(into.mounts, mount.target, &DeviceMount::target) == into.mounts.end())
      into.mounts.push_back(mount);
  }
  for (const DeviceHook& hook : from.hooks) {
    if (std::ranges::find(into.hooks, hook) == into.hooks.end()) into.hooks.push_back(hook);
  }
}

}  // namespace berth::node
