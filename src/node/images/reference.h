#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace berth::node {

/// The parts of an image reference, completed as container engines do: `busybox` is
/// `docker.io/library/busybox:latest`.
struct ImageReference {
  std::string registry;    ///< `docker.io`, `localhost:5000`
  std::string repository;  ///< `library/busybox`
  std::string tag;         ///< empty when there is a digest and no tag was given
  std::string digest;      ///< `sha256:...` or empty

  std::string to_string() const;
  /// What a registry is asked for: the digest when there is one.
  std::string to_pull() const;
  /// Is the registry on this machine? Then, and only then, TLS is not insisted on.
  bool registry_is_loopback() const;
};

/// Fails with `kInvalid` and what is wrong.
Result<ImageReference> parse_image_reference(std::string_view text);

}  // namespace berth::node
