#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "objects/json.h"

namespace berth::apiserver {

/// A point in the history of everything stored. Grows by one with each change, and never goes back.
using Revision = int64_t;

/// One version of one object: canonical bytes, and the tree while somebody uses it.
class Stored {
 public:
  Stored(std::string bytes, Revision revision) : bytes_(std::move(bytes)), revision_(revision) {}
  Stored(std::string bytes, Revision revision, const SharedJson& tree)
      : bytes_(std::move(bytes)), revision_(revision), tree_(tree) {}

  const std::string& bytes() const { return bytes_; }
  /// Of the change that made this version; also its `metadata.resourceVersion`.
  Revision revision() const { return revision_; }
  /// Parsed when nobody holds it.
  SharedJson tree() const;

 private:
  const std::string bytes_;
  const Revision revision_;
  mutable std::mutex mutex_;
  mutable std::weak_ptr<const Json> tree_;
};

using StoredPtr = std::shared_ptr<const Stored>;

/// Where an object is kept. `resource` is "pods" or "deployments.apps": all versions of a kind are
/// one resource.
struct StoreKey {
  std::string resource;
  std::string ns;
  std::string name;

  auto operator<=>(const StoreKey&) const = default;
};

struct Change {
  enum class Type : int { kAdded, kModified, kDeleted };
  Type type = Type::kAdded;
  StoreKey key;
  StoredPtr object;  ///< of a deletion: the last state, with the deletion's revision
  StoredPtr before;  ///< null when added

  Revision revision() const { return object->revision(); }
};

using ChangePtr = std::shared_ptr<const Change>;

}  // namespace berth::apiserver
