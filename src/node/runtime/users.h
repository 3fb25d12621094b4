#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "node/images/image_store.h"

namespace berth::node {

struct UserIds {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;  ///< that /etc/group gives the user
  std::string home = "/";
};

/// Who `user` (`uid`, `name`, `uid:gid`, `name:group`; empty is root) is, by the image's own
/// /etc/passwd and /etc/group.
Result<UserIds> resolve_user(const ImageHandle& image, const std::string& user);

}  // namespace berth::node
