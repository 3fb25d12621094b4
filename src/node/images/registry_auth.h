#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace berth::node {

/// One auth file, as skopeo reads it, from several of Docker's configurations: the texts of
/// `.dockerconfigjson` keys, or of the older `.dockercfg` ones. Of two entries for a registry the
/// earlier one counts; user and password become the `auth` that skopeo wants. What cannot be read
/// is left out. Empty when nothing is left.
std::string merge_auths(const std::vector<std::string>& configurations);

}  // namespace berth::node
