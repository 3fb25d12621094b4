#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "node/images/image_store.h"
#include "node/images/public_tree.h"

namespace berth::node {

/// The reference, and the digest, of the image made of this machine's own files.
inline constexpr char kHostImage[] = "host";

struct HostImageOptions {
  /// Where the skeleton and the public copy of /etc are kept.
  std::string state_dir = {};
  /// Directories that show beside the system's own: shared software, data sets.
  std::vector<std::string> extra_dirs = {};
  /// Directories that never show, even below one that does: Berth's own data.
  std::vector<std::string> hidden = {};
  /// The machine's root; tests use another.
  std::string root = "/";
};

/// The image `host`: the software of this machine, read-only, without copying it.
///
/// In it: /usr, /bin, /lib... (or the links that stand for them), /nix and /snap whole; of /opt
/// the entries that everybody may read; of /etc a copy of what everybody may read, less
/// credentials; `extra_dirs`. Not in it: everything else, so the homes, /root, /var, /srv, /boot,
/// /mnt; what only some users may read in /opt and /usr/local; Berth's own data. A file system
/// mounted below a directory that shows, shows too, read-only.
///
/// Thread-safe.
class HostImage {
 public:
  HostImage(HostImageOptions options, const Clock& clock);

  /// The image as of now: software installed since the last call shows.
  Result<ImageHandle> ensure();

 private:
  PrivatePaths find_private() const;

  const HostImageOptions options_;
  const Clock& clock_;
  std::mutex mutex_;
  std::optional<ImageHandle> handle_;  // guarded by mutex_, as are the next three
  Time built_;
  std::optional<PrivatePaths> private_;
  Time searched_;
};

/// Mount points below `directory`, parents first, from the text of /proc/self/mountinfo.
std::vector<std::string> mount_points_below(const std::string& mountinfo,
                                            const std::string& directory);

}  // namespace berth::node
