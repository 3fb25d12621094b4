#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/error.h"

namespace berth::node {

struct PublicTreeOptions {
  /// Paths below the source, relative, that are left out whatever their permissions. A `*` stands
  /// for any characters of one name.
  std::vector<std::string> excluded;
  /// Relative paths that are made as empty files when missing, and never touched again: something
  /// is mounted over them.
  std::vector<std::string> placeholders;
  int64_t max_file_bytes = 16 << 20;
};

/// Makes `destination` hold what every user of this machine may read of `source`: files that are
/// readable by all, directories that all may enter, symbolic links as they are. Only what changed
/// is copied, each file replaced at once, and what is gone is removed.
///
/// A copy rather than a mount with the private files covered: a cover falls off as soon as the
/// machine replaces the file below it by a rename, which is how `passwd` writes /etc/shadow.
Result<> sync_public_tree(const std::string& source, const std::string& destination,
                          const PublicTreeOptions& options);

struct PrivatePaths {
  std::vector<std::string> files;
  std::vector<std::string> directories;
};

/// What not every user may read below `root`, down to `depth` levels. A private directory is not
/// entered. Nothing when `root` does not exist.
PrivatePaths find_private_paths(const std::string& root, int depth);

/// May every user enter and list this directory, or read this file? Symbolic links are followed.
bool is_public(const std::string& path);

/// Does `name` match `pattern`, in which `*` stands for any characters but `/`?
bool matches_glob(std::string_view pattern, std::string_view name);

}  // namespace berth::node
