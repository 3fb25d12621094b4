#pragma once

#include <string>

#include "base/error.h"
#include "node/network/subnet.h"

namespace berth::node {

/// The bridge that a machine's pods are attached to, by system calls. All need root; all may be
/// repeated.

bool interface_exists(const std::string& name);
/// Is this its (first) IPv4 address?
bool interface_has_address(const std::string& name, uint32_t address);
/// The data folder of the Berth that made it; empty where none did, or it did not say.
std::string interface_owner(const std::string& name);
/// Writes that down in its alias, which `ip link` shows. What cannot be written stays unsaid.
void set_interface_owner(const std::string& name, const std::string& data_dir);
/// Makes the bridge, gives it `address` in `subnet`, and sets it up.
Result<> ensure_bridge(const std::string& name, uint32_t address, const Subnet& subnet);
/// Sets it down and removes it; success when there is none.
Result<> remove_bridge(const std::string& name);
/// Sends `subnet` to the interface.
Result<> ensure_route(const Subnet& subnet, const std::string& interface);
/// The address that this machine's default route leaves by, or, without one, that of its first
/// interface that is up and not the loopback; 127.0.0.1 when there is none.
std::string host_ip();

/// Writes a file below /proc/sys when it holds something else; gives what it held.
Result<std::string> set_sysctl(const std::string& path, const std::string& value);

}  // namespace berth::node
