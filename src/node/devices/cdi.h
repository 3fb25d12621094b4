#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "node/devices/device_source.h"
#include "objects/json.h"

namespace berth::node {

/// The specs of the Container Device Interface of one kind (`nvidia.com/gpu`): what a vendor's tool
/// wrote of how its devices are shown to containers. Environment, device nodes, mounts and hooks
/// are read.
class CdiSpecs {
 public:
  /// Reads *.json, *.yaml and *.yml of the directories; later ones win. Files of other kinds, and
  /// directories that are not there, are passed over. A file that cannot be read is an error.
  static Result<CdiSpecs> load(const std::vector<std::string>& directories, std::string_view kind);

  bool empty() const { return devices_.empty(); }
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
