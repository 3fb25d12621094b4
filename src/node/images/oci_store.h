#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "node/images/host_image.h"
#include "node/images/image_store.h"
#include "node/images/image_transfer.h"

namespace berth::node {

struct OciStoreOptions {
  std::string directory = {};  ///< `images` below Berth's data
  RegistryAccess access = {};
  std::vector<std::string> host_dirs = {};  ///< shown in the image `host` beside the system's own
  std::vector<std::string> hidden = {};     ///< never shown in it; the data directory is one
  /// Garbage: at or above `high` of the disk in use, images that nobody uses go, least recently
  /// used first, until `low` (the kubelet's defaults).
  int gc_high_percent = 85;
  int gc_low_percent = 80;
};

/// One name in the store.
struct StoredImage {
  std::string reference;
  std::string digest;
  int64_t size_bytes = 0;
  Time stored;
  bool imported = false;  ///< brought as a file; never asked for at a registry
  bool in_use = false;
};

/// Images on disk, each unpacked once whatever it is called, and the image `host`.
///
///     refs/<sha256 of the name>.json   which digest a name stands for
///     unpacked/<digest>/rootfs/        the lower directory of containers
///     unpacked/<digest>/image.json     its configuration and size
///     work/                            what is being fetched; emptied at `open`
///
/// Files that images have in common through their layers are one file with several names.
/// A directory appears in `unpacked` only when complete, and a name only after it. Several
/// processes may work on a store (`berth serve` and `berth image`): what changes names or removes
/// images takes a lock on it. In use is what a mount of any process lies on.
class OciStore final : public ImageStore {
 public:
  /// `owner`: this process serves the store, and nothing else does; leftovers are cleared.
  static Result<std::unique_ptr<OciStore>> open(OciStoreOptions options, const Clock& clock,
                                                bool owner);

  Result<ImageHandle> ensure_image(const ImageRequest& request) override;

  /// Takes in a file or directory under `name`, or under the one that it gives itself.
  Result<StoredImage> import(const std::string& path, const std::string& name);
  /// By name; `host` is not among them.
  std::vector<StoredImage> list() const;
  /// Removes a name, and the image when it was its last. `kConflict` while a container uses it.
  Result<> remove(const std::string& reference);
  /// Removes images that nobody uses while the disk is too full; answers the names that went. Every
  /// pull begins with it.
  Result<std::vector<std::string>> collect_garbage();

 private:
  struct Ref {
    std::string reference;
    std::string digest;
    std::string source_digest;  ///< what the registry called it
    Time stored;
    bool imported = false;
  };

  OciStore(OciStoreOptions options, const Clock& clock);

  Result<ImageHandle> pull(const ImageReference& reference, const ImageRequest& request);
  Result<ImageHandle> handle_of(const Ref& ref, bool pulled) const;
  /// `source_digest` is empty for an import.
  Result<Ref> fetch(const ImageSource& source, const std::string& name, bool insecure,
                    const std::string& source_digest, const RegistryAccess& access);
  /// Of the stored images the one that an image with this configuration shares most with; empty:
  /// none.
  std::string nearest_rootfs(const std::string& config) const;
  std::optional<Ref> find(const std::string& reference) const;
  std::optional<Ref> read_ref(const std::string& path) const;
  std::vector<Ref> refs() const;
  Result<> write_ref(const Ref& ref) const;
  Result<> remove_locked(const Ref& ref) const;
  Result<> drop_unnamed(const std::string& digest) const;
  StoredImage describe(const Ref& ref, const std::set<std::string>& mounted) const;
  std::string ref_path(const std::string& reference) const;
  std::string unpacked_path(const std::string& digest) const;

  const OciStoreOptions options_;
  const Clock& clock_;
  HostImage host_;
  std::mutex mutex_;
  /// One fetch at a time for a name; guarded by mutex_.
  std::map<std::string, std::shared_ptr<std::mutex>> fetching_;
};

}  // namespace berth::node
