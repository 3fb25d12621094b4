#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "node/cgroup/cgroup_tree.h"
#include "node/pod/container_setup.h"

namespace berth::node {

/// Can pods run here at all? The error lists everything that is missing and how to get it.
Result<> check_host();

/// What the machine lets Berth do, tried once at start in an own cgroup below `cgroup_root`.
struct HostFindings {
  HostAbilities abilities;
  /// What is done without, as sentences for people.
  std::vector<std::string> limits;
};
Result<HostFindings> examine_host(const CgroupTree& cgroups, const std::string& cgroup_root);

/// What the machine is.
struct MachineFacts {
  int64_t cpus = 0;
  int64_t memory_bytes = 0;
  int64_t disk_bytes = 0;  ///< of the file system that holds `data_dir`
  std::string architecture;
  std::string kernel;
  std::string os_image;
  std::string machine_id;
  std::string boot_id;
  std::string runtime_version;  ///< of runc
  std::string address;          ///< the one that others reach this machine by, else 127.0.0.1
};
MachineFacts machine_facts(const std::string& data_dir);

}  // namespace berth::node
