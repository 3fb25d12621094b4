#pragma once

#include <string>
#include <vector>

#include "objects/json.h"

namespace berth::node {

/// The seccomp filter for containers that name none: an allow-list; every other call fails with
/// EPERM, and calls newer than the list with ENOSYS where libraries fall back. Capabilities open
/// the calls that are useless without them.
Json default_seccomp(const std::vector<std::string>& capabilities);

}  // namespace berth::node
