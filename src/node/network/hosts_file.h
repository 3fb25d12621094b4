#pragma once

#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "objects/json.h"

namespace berth::node {

/// The names that pods find each other and Services by, as lines of a hosts file. Computed once for
/// all pods, from Services, EndpointSlices and Pods of every namespace:
/// - a Service is NAME.NAMESPACE, NAME.NAMESPACE.svc, NAME.NAMESPACE.svc.cluster.local, and NAME
///   within its namespace, at its cluster address, or if headless at each ready address;
/// - a pod is NAME.NAMESPACE, and NAME within its namespace, unless a Service is called that;
/// - a pod with a hostname or a subdomain (the members of an indexed Job have a hostname) also is
///   HOSTNAME, and HOSTNAME.SUBDOMAIN with every ending that a Service has.
/// Pods without an address, finished or on their way out are left out.
class HostNames {
 public:
  HostNames() = default;
  HostNames(std::span<const SharedJson> services, std::span<const SharedJson> slices,
            std::span<const SharedJson> pods);

  /// The lines for a pod of this namespace.
  std::string text(std::string_view ns) const;

 private:
  struct Line {
    std::string ip;
    std::string short_names;  ///< only within the namespace
    std::string long_names;
  };
  void add(std::string_view ns, std::string_view ip, std::string short_names,
           std::string long_names);

  std::map<std::string, std::vector<Line>, std::less<>> by_namespace_;
};

/// The top of a pod's own hosts file: the loopback, itself, and what `hostAliases` says.
/// `pod` may be null when only its name is known.
std::string own_host_lines(const Json* pod, std::string_view ns, std::string_view name,
                           std::string_view ip);

/// The hosts files of this machine's pods. They are bind-mounted into containers, so their content
/// is replaced and never the file. Thread-safe.
class HostsFiles {
 public:
  /// Writes the file now, and keeps it current until `remove`.
  Result<> put(const std::string& pod_uid, const std::string& path, std::string ns,
               std::string own_lines);
  void remove(const std::string& pod_uid);
  /// Rewrites the files whose content changes. Answers the first error, after trying all.
  Result<> update(HostNames names);

 private:
  struct File {
    std::string path;
    std::string ns;
    std::string own_lines;
    std::string written;
  };
  static Result<> write(File& file, std::string_view shared);

  std::mutex mutex_;
  HostNames names_;
  std::map<std::string, File> files_;
};

}  // namespace berth::node
