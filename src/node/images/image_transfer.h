#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "node/images/image_store.h"
#include "node/images/reference.h"

namespace berth::node {

/// Where skopeo takes an image from.
struct ImageSource {
  std::string transport = {};       ///< `docker-archive:/x.tar`, `oci:/dir:tag`, `docker://...`
  std::string suggested_name = {};  ///< the name that the file itself gives, or empty
};

/// An image of a registry.
ImageSource registry_source(const ImageReference& reference);

/// Finds out what a file or directory holds: an archive of `docker save`, an OCI archive or an OCI
/// layout. `kInvalid` when it is none of these or holds several images.
Result<ImageSource> recognise_image(const std::string& path);

struct RegistryAccess {
  std::string auth_file =
      {};  ///< as `docker login` or `skopeo login` writes; empty: the tool's own
};

/// An image as it lies unpacked in a directory.
struct UnpackedImage {
  std::string digest;  ///< of the manifest
  std::string config;  ///< the text of the OCI image configuration
};

/// Copies the image and unpacks it below `directory`, which is empty, as `rootfs/`. Nothing else
/// is left there. `kNotFound`: the registry does not have it (or not for us); `kUnavailable`: the
/// registry did not answer; `kInvalid`: the archive is damaged.
Result<UnpackedImage> fetch_and_unpack(const ImageSource& source, const RegistryAccess& access,
                                       const std::string& directory, bool insecure_registry);

/// The digest of what a registry has under a name now, without fetching it.
Result<std::string> remote_digest(const ImageReference& reference, const RegistryAccess& access);

/// Reads what skopeo said when it failed.
Error read_skopeo_error(std::string_view message, const std::string& source);

}  // namespace berth::node
