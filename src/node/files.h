#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "base/error.h"

namespace berth::node {

/// The whole file; `kNotFound` when there is none.
Result<std::string> read_file(const std::string& path);
/// An integer in a file, as the kernel's files hold them; `max` reads as INT64_MAX.
Result<int64_t> read_integer(const std::string& path);
/// Writes beside the file, then renames: a reader sees the old or the new content, and so does the
/// next start after a crash of Berth. Not synced to disk: after a crash of the machine nothing that
/// these files describe still runs.
Result<> write_file_atomically(const std::string& path, std::string_view content,
                               mode_t mode = 0600);
/// For a small record of Berth's own that changes often and that only Berth's next start reads: one
/// write over the old content (blanks fill what was longer), which a kill of Berth cannot divide.
/// Without a file beside it there is no inode to find and nothing to flush, which is what a rename
/// over a file costs. A new file or a long content is written as by `write_file_atomically`.
Result<> rewrite_record(const std::string& path, std::string_view content);
/// Writes an existing file (a kernel file, or one that is bind-mounted and must keep its inode).
Result<> write_in_place(const std::string& path, std::string_view content);
/// `mkdir -p`; only folders that it makes get the mode.
Result<> make_directories(const std::string& path, mode_t mode = 0755);
/// Removes a tree. Never crosses into another file system, and never follows symbolic links.
Result<> remove_tree(const std::string& path);

/// `errno` as an error about a path.
std::unexpected<Error> errno_error(std::string_view what, const std::string& path);

}  // namespace berth::node
