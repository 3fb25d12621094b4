#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client/api_client.h"
#include "client/informer.h"
#include "node/network/hosts_file.h"
#include "node/network/services/service_rules.h"
#include "platform/deadline.h"
#include "platform/event_loop.h"

namespace berth::node {

/// Follows Services, EndpointSlices and Pods, and keeps Berth's nftables table and the hosts files
/// in line with them. Changes of one burst are worked off together.
///
/// Made, used and destroyed on the loop's thread, which waits for `nft` while rules change.
class ServiceProxy {
 public:
  struct Options {
    ServiceNetwork network;
    /// The first change after a quiet time waits this long for its burst.
    Duration gather = Duration::milliseconds(20);
    /// Where following costs much (many pods have many lines in many hosts files), it rests in
    /// between, at most this long.
    Duration longest_rest = Duration::milliseconds(500);
    /// After a failure of `nft`.
    Duration retry = Duration::seconds(5);
    /// How often to see whether the table is still there: loading a firewall's own rules often
    /// begins with removing everybody's.
    Duration verify = Duration::seconds(30);
  };
  /// A pod of this machine whose hosts file is kept.
  struct LocalPod {
    std::string uid;
    std::string ns;
    std::string name;
    std::string ip;
    std::string hosts_path;
  };

  ServiceProxy(client::ApiClient& client, platform::EventLoop& loop, Options options,
               HostsFiles& hosts);
  ~ServiceProxy();
  ServiceProxy(const ServiceProxy&) = delete;
  ServiceProxy& operator=(const ServiceProxy&) = delete;

  void start();
  void add_pod(LocalPod pod);
  /// When it returns, new connections no longer go to the pod.
  Result<> drain(const std::string& uid);
  void remove_pod(const std::string& uid);

 private:
  void verify_later();
  void changed();
  Result<> reconcile();
  Result<> apply_rules(const std::vector<SharedJson>& services,
                       const std::vector<SharedJson>& slices);
  void update_hosts(const std::vector<SharedJson>& services, const std::vector<SharedJson>& slices);
  void write_own(const LocalPod& pod);
  void report(const Result<>& result);

  platform::EventLoop& loop_;
  const Options options_;
  HostsFiles& hosts_;
  client::Informer services_;
  client::Informer slices_;
  client::Informer pods_;
  std::map<std::string, LocalPod> local_pods_;
  std::set<std::string> draining_;  ///< addresses
  Duration took_;                   ///< to follow everything, the last time
  platform::Stopwatch since_;       ///< then
  std::string applied_;
  std::string reported_;  ///< the last failure said, so that it is said once
  platform::EventLoop::TimerId timer_ = 0;
  platform::EventLoop::TimerId verify_timer_ = 0;
  bool scheduled_ = false;
};

}  // namespace berth::node
