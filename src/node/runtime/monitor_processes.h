#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "base/error.h"
#include "base/time.h"

namespace berth::node {

/// A conmon, or the `runc create` that it runs; a killed Berth leaves both to go on.
struct MonitorProcess {
  pid_t pid = 0;
  std::string container;
};

/// Those of the containers of one state directory, found by their command lines.
std::vector<MonitorProcess> monitor_processes(const std::string& state_dir);

/// Kills what is about to create a container, or watches one that was never started: it writes no
/// exit code any more. Returns when they are gone.
Result<> stop_creation(const std::string& state_dir, const std::string& id, Duration limit);

/// Returns when the monitor of a container that has died has ended, and so written its exit code;
/// one that has not by `limit` is killed.
Result<> await_monitor(const std::string& state_dir, const std::string& id, Duration limit);

}  // namespace berth::node
