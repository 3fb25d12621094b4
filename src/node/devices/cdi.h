#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "node/devices/device_source.h"
#include "objects/json.h"

namespace berth::node {

class CdiSpecs;
using CdiKinds = std::map<std::string, CdiSpecs, std::less<>>;

/// The specs of the Container Device Interface of one kind (`nvidia.com/gpu`): what a vendor's tool
/// wrote of how its devices are shown to containers. Environment, device nodes, mounts and hooks
/// are read.
class CdiSpecs {
 public:
  /// Reads *.json, *.yaml and *.yml of the directories; later ones win. Directories that are not
  /// there are passed over. A file that cannot be read is an error.
  static Result<CdiKinds> load(const std::vector<std::string>& directories);

  bool empty() const { return devices_.empty(); }
  /// One name of each device: not `all`, and of several names for the same nodes the shortest.
  std::vector<std::string> device_names() const;
  /// What the device of any of these names needs (a vendor may name by index or by UUID); null when
  /// there is none.
  const ContainerEdits* find(const std::vector<std::string>& names) const;
  /// What every container with any device of the kind needs.
  const ContainerEdits& common() const { return common_; }

 private:
  void add(const Json& spec);

  std::map<std::string, ContainerEdits, std::less<>> devices_;
  ContainerEdits common_;
};

/// Appends what is not there yet.
void merge_edits(const ContainerEdits& from, ContainerEdits& into);

}  // namespace berth::node
