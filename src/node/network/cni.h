#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "objects/json.h"
#include "platform/reaper.h"

namespace berth::node {

/// One step of a network's chain.
struct CniPlugin {
  std::string type;  ///< the program's name in the plugin directories
  JsonObject conf;   ///< as written, without the network's name and version
};

/// A network configuration list (CNI specification 0.4.0 and 1.0.0, section 1).
struct CniConfig {
  std::string name;
  std::string version;  ///< cniVersion
  bool disable_check = false;
  std::vector<CniPlugin> plugins;
};

/// Reads a .conflist, or a .conf with one plugin. `where` names the file in errors.
Result<CniConfig> parse_cni_config(std::string_view text, const std::string& where);
/// The first *.conflist, *.conf or *.json of a directory, by name, as container runtimes choose.
Result<CniConfig> load_cni_config(const std::string& directory);
/// What `parse_cni_config` reads.
std::string format_cni_config(const CniConfig& config);

/// One pod's interface.
struct CniAttachment {
  std::string container_id;
  std::string netns;  ///< path; empty at DEL when the namespace is gone
  std::string interface = "eth0";
  /// CNI_ARGS pairs, for plugins that want the pod's name.
  std::vector<std::pair<std::string, std::string>> args;
  /// Capability arguments by name (`bandwidth`, ...): given to the plugins that declare them.
  JsonObject capabilities;
};

/// What the last plugin of a chain answered.
struct CniResult {
  std::vector<std::string> ips;  ///< addresses without the prefix length
  Json raw;
};
Result<CniResult> parse_cni_result(std::string_view text);

/// The standard input of one plugin. `previous` is null for the first of an ADD.
Json cni_plugin_input(const CniConfig& config, const CniPlugin& plugin,
                      const JsonObject& capabilities, const Json& previous);

/// The capability `bandwidth` for the values of the annotations `kubernetes.io/ingress-bandwidth`
/// and `kubernetes.io/egress-bandwidth` (quantities, bits per second); empty strings are unlimited.
/// Both empty: an empty object. Kubernetes accepts 1k to 1P.
Result<JsonObject> bandwidth_capability(const std::string& ingress, const std::string& egress);

/// Runs CNI plugins. Thread-safe; calls block for as long as the plugins run.
class Cni {
 public:
  explicit Cni(std::vector<std::string> plugin_dirs);

  /// Are all programs there and do they speak the configuration's version? Runs VERSION on each.
  Result<> validate(const CniConfig& config) const;
  /// ADD along the chain. When a step fails, what was done is undone (DEL) before the error
  /// returns.
  Result<CniResult> add(const CniConfig& config, const CniAttachment& attachment) const;
  /// DEL, in reverse. `result` is what `add` returned, or null. Goes on after an error; returns the
  /// first.
  Result<> del(const CniConfig& config, const CniAttachment& attachment, const Json& result) const;
  /// CHECK: is the attachment still as `result` says?
  Result<> check(const CniConfig& config, const CniAttachment& attachment,
                 const Json& result) const;

 private:
  Result<std::string> find(const std::string& type) const;
  Result<std::string> run(const std::string& command, const CniPlugin& plugin,
                          const CniAttachment& attachment, const Json& input) const;

  const std::vector<std::string> plugin_dirs_;
  const std::unique_ptr<platform::Reaper> reaper_ = std::make_unique<platform::Reaper>();
};

}  // namespace berth::node
