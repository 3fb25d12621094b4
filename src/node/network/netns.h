#pragma once

#include <string>

#include "base/error.h"

namespace berth::node {

/// Makes a network namespace with its loopback interface up, and keeps it at `path` by a bind
/// mount, as `ip netns add` does, without running a program. A file that a crash left there
/// without a namespace is replaced. Success when it is there already. Needs root.
Result<> ensure_netns(const std::string& path);
/// Takes the mount and the file away; the namespace ends with its last process.
Result<> remove_netns(const std::string& path);
/// Is there a namespace at `path` (and not just a file)?
bool is_netns(const std::string& path);

}  // namespace berth::node
