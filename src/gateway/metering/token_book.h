#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "base/time.h"
#include "client/api_client.h"
#include "client/sync_client.h"

namespace berth::gateway {

/// Tells the API server what was counted: a ConfigMap of this gateway in `berth-system`, with its
/// totals since it was first started. They only grow, also over restarts, so that whoever reads
/// them counts everything once however often it is told. Once a second, where something changed,
/// and once more at the end. On a thread of its own.
class TokenBook {
 public:
  struct Count {
    int64_t input = 0, output = 0;
    bool operator==(const Count&) const = default;
  };
  using Totals = std::map<std::pair<std::string, std::string>, Count>;  ///< by tenant, model

  struct Options {
    client::ApiClient& client;          ///< outlives this
    const Clock& clock;                 ///< outlives this
    std::string name{};                 ///< of the ConfigMap
    std::function<Totals()> counted{};  ///< since this process began; any thread
    std::function<void(const std::string& line)> remark{};
    Duration pause = Duration::seconds(1);
  };

  explicit TokenBook(Options options);
  /// Tells what is left to tell, for some seconds at most.
  ~TokenBook();

 private:
  void run();
  /// False: it did not reach the server.
  bool tell();
  /// What it was before this process, from the ConfigMap.
  bool read();
  bool write();

  const Options options_;
  client::SyncClient client_;
  // The thread's own.
  bool known_ = false, exists_ = false;
  Totals before_, told_;  ///< of earlier processes; what was counted here and written
  std::string trouble_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;  ///< by mutex_
  std::thread thread_;
};

}  // namespace berth::gateway
