#pragma once

#include <set>
#include <string>
#include <string_view>

namespace berth::node {

/// The names directly below `directory` that mounts lie on, in the text of a mountinfo file: as
/// the lower directory of an overlay, or as what was bound somewhere.
void add_mounted_below(std::string_view mountinfo, const std::string& directory,
                       std::set<std::string>& names);

/// The same over the mounts of every process of the machine, so that containers count that another
/// process started, or that outlived it. Needs root to see them all.
std::set<std::string> mounted_below(const std::string& directory);

}  // namespace berth::node
