#pragma once

#include <string>

namespace berth::node {

/// The alias of an interface of this process's network namespace (sysfs would show those of the
/// namespace that it was mounted in), as `ip link` shows it; empty when it has none.
std::string link_alias(const std::string& interface);
/// Needs root. What cannot be set stays as it is.
void set_link_alias(const std::string& interface, const std::string& alias);

}  // namespace berth::node
