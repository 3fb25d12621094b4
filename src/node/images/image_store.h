#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace berth::node {

/// `imagePullPolicy` of a container.
enum class PullPolicy { kAlways, kIfNotPresent, kNever };

/// What an image says of how it wants to be run (the OCI image configuration).
struct ImageConfig {
  std::vector<std::string> env;  ///< NAME=VALUE
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::string user;  ///< `uid`, `uid:gid` or names; empty is root
  std::string working_dir;
  std::string stop_signal;  ///< `SIGTERM` or a number; empty is SIGTERM
};

/// A part of this machine that shows in the container at `target`.
struct ImageMount {
  std::string source;
  std::string target;
  bool read_only = true;
};

/// An unpacked image. The directories stay in place while a handle's digest is in use
/// (`ImageStore::remove` is told which digests are).
struct ImageHandle {
  std::string reference;  ///< as the pod spelled it, completed: `docker.io/library/busybox:1.36`
  std::string digest;     ///< `sha256:...`; for `host` a fixed word
  /// The lower directory of the container's root. The runtime never writes to it. For `host` a
  /// skeleton: empty mount points and the symbolic links of /.
  std::string rootfs;
  std::vector<ImageMount> mounts;  ///< on top of `rootfs`, in order; only `host` has any
  /// Directories that each container needs a private, writable, empty one of: the image has none of
  /// its own (`host`: /tmp, /var/tmp, /run).
  std::vector<std::string> scratch_dirs;
  bool always_read_only = false;  ///< `host`: a writable layer is refused
  ImageConfig config;
  bool pulled = false;  ///< this call fetched it (for the event `Pulled`)
};

/// What is asked of a store.
struct ImageRequest {
  std::string reference;
  PullPolicy policy = PullPolicy::kIfNotPresent;
  /// The pod's own access to registries: the text of an auth file (`merge_auths`); empty: none.
  std::string auths = {};
};

/// Where images come from. Calls block and may come from several threads at once.
class ImageStore {
 public:
  virtual ~ImageStore() = default;

  /// The image, pulled or unpacked first where the policy asks for that. `kNotFound`: the policy
  /// forbids pulling and it is not here, or no registry has it (both are ErrImagePull to the user,
  /// the first as ErrImageNeverPull). `kInvalid`: the reference cannot be read
  /// (InvalidImageName). `kUnavailable`: the registry did not answer.
  virtual Result<ImageHandle> ensure_image(const ImageRequest& request) = 0;
};

}  // namespace berth::node
