#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/error.h"

namespace berth::node {

/// Mount points of this mount namespace at or below a folder, the deepest first.
Result<std::vector<std::string>> mount_points_below(const std::string& folder);
/// Unmounts all of them, lazily where busy.
Result<> unmount_below(const std::string& folder);
bool is_mount_point(const std::string& path);
/// Is there something at `path` inside of `root`, links taken as a process in that root takes them?
bool exists_in_root(const std::string& root, const std::string& path);

/// The root of a container: `lower` unchanged below a writable layer in `folder/upper`, seen at
/// `folder/root`, which is returned. Mounted once; repeated calls find it.
Result<std::string> ensure_overlay(const std::string& lower, const std::string& folder);
/// A memory file system at `path`; size 0 leaves the kernel's default (half of memory).
Result<> ensure_tmpfs(const std::string& path, int64_t size_bytes, mode_t mode);

/// Pins new IPC and UTS namespaces for the containers of one pod as files `folder/ipc` and
/// `folder/uts`, the second with this host name. They live as long as the files are mounted.
Result<> ensure_pod_namespaces(const std::string& folder, const std::string& hostname);

}  // namespace berth::node
