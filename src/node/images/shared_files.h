#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace berth::node {

/// Makes files of an unpacked image hard links to the same files of another one, so that what they
/// share lies on disk, and in the kernel's cache, once. The same: at the same path, with the same
/// content, owner, mode, times and extended attributes. Both are only ever read. What cannot be
/// linked stays a copy. Answers the bytes that this freed.
int64_t share_files(const std::string& rootfs, const std::string& other_rootfs);

/// With how many layers two image configurations begin alike (`rootfs.diff_ids`).
size_t layers_in_common(std::string_view config, std::string_view other_config);

}  // namespace berth::node
