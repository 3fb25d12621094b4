#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/configuration.h"
#include "base/error.h"
#include "base/time.h"

namespace berth::app {

/// How `berth serve` is to run this machine.
struct MachineOptions {
  std::string data_dir;
  std::string address = "127.0.0.1";
  int port = 0;
  std::string node_name;
  std::vector<std::string> emulated_devices;  ///< `nvidia.com/gpu=4:80Gi`
  std::vector<std::string> host_dirs;         ///< shown in the image `host` beside the system's own
  std::string cni_conf_dir;
  std::string cgroup_root = "/berth";  ///< from the root of every hierarchy
  std::string pod_subnet;
  std::string service_subnet;
  Configuration configuration{};
  bool allow_host_path = false;
  bool allow_host_network = false;
  bool allow_privileged = false;
};

/// One machine that stands alone: the API server, the controllers, the scheduler and the node agent
/// in one process. The order in which they start and stop is written down once, here.
class Machine {
 public:
  /// Ready when it returns. Fails with everything that the user has to know, and nothing running.
  static Result<std::unique_ptr<Machine>> start(const MachineOptions& options, const Clock& clock);
  ~Machine();

  /// "https://127.0.0.1:41373"
  std::string address() const;
  std::string kubeconfig() const;
  /// What was changed on this host: a sentence each.
  std::vector<std::string> remarks() const;

  /// Tells of what keeps pods from working as they should, and how to change it.
  void warn_of_troubles();
  /// From now on, and again when a price begins to apply.
  Result<> configure(const Configuration& configuration);
  /// An Event about this machine, and a line in the log.
  void tell(bool warning, const std::string& reason, const std::string& message);

  /// Pods go on running and the next start adopts them, unless `drain`: then they are stopped
  /// first. Answers how many pods go on running. The second call does nothing.
  size_t stop(bool drain);

 private:
  struct Parts;
  Machine(std::unique_ptr<Parts> parts, std::string node_name, const Clock& clock);

  const std::string node_name_;
  const Clock& clock_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace berth::app
