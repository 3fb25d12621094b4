#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace berth::node {

struct NumaNode {
  int id = 0;
  std::vector<int> cpus;
  int64_t memory_bytes = 0;
};

struct Disk {
  std::string name;   ///< `nvme0n1`
  std::string model;  ///< empty when the kernel does not know
  int64_t size_bytes = 0;
  bool rotational = false;
};

/// What a machine is made of, apart from its accelerators.
struct Machine {
  std::string hostname;
  std::string architecture;  ///< as Go names it: `amd64`
  std::string kernel;        ///< release
  std::string os_image;      ///< `Debian GNU/Linux 12 (bookworm)`
  std::string machine_id;
  std::string boot_id;
  std::string cpu_model;
  std::vector<int> cpus;  ///< online
  int64_t memory_bytes = 0;
  std::vector<NumaNode> numa;  ///< in order of id; one node where the kernel has none
  std::vector<Disk> disks;     ///< in order of name; no loop devices, RAM disks or partitions
};

/// Reads /proc, /sys and /etc below `root`. Fails only when CPUs or memory cannot be found.
Result<Machine> discover_machine(const std::string& root = "");

/// The kernel's list format: `0-3,8,10-11`. Empty when it is not one.
std::vector<int> parse_cpu_list(std::string_view text);

}  // namespace berth::node
