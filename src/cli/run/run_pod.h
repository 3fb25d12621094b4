#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "objects/json.h"

namespace berth::cli {

struct RunOptions {
  std::vector<std::string> command;
  std::string gpus;  ///< a count, or a share of one device such as 0.5
  std::string cpus;
  std::string memory;
  std::string time;
  std::string queue;
  std::string name;
  std::string image = "host";
  std::vector<std::string> env;     ///< NAME=VALUE, or NAME: as it is here
  std::vector<std::string> mounts;  ///< more folders, writable
  bool detach = false;
  bool keep = false;
};

/// Who asks, and from where.
struct RunSite {
  int64_t uid = 0;
  int64_t gid = 0;
  std::vector<int64_t> groups;
  std::string folder;
  std::map<std::string, std::string> environment;
  std::string gpu_resource = "nvidia.com/gpu";
};

/// Variables of the caller's shell that work on the same machine needs. What looks like a secret
/// is left out, as is what belongs to the terminal or names devices: name it with --env.
bool is_passed_on(std::string_view name);

/// The pod that does this: the caller's user in the caller's folder, which is mounted writable.
Result<Json> run_pod(const RunOptions& options, const RunSite& site);

}  // namespace berth::cli
