#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "node/images/image_store.h"

namespace berth::node {

/// Reads an OCI image configuration (image-spec, config.md). `kUnsupported` when it is for another
/// operating system or another processor than `architecture` (as Go names it: `amd64`).
Result<ImageConfig> parse_image_config(std::string_view text, std::string_view architecture);
/// This machine's processor as Go names it.
std::string host_architecture();

/// Which user a container runs as.
struct ImageUser {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;  ///< the further groups that the image's /etc/group gives
  std::string home = "/";
};

/// `user` is what an image configuration may say: empty, `uid`, `uid:gid`, or names of the image's
/// own /etc/passwd and /etc/group, in any mix. `kInvalid` when a name is not there.
Result<ImageUser> resolve_user(std::string_view user, std::string_view etc_passwd,
                               std::string_view etc_group);
/// The same, with the files of an image.
Result<ImageUser> resolve_user(std::string_view user, const ImageHandle& image);

}  // namespace berth::node
