#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "client/api_client.h"
#include "client/gate.h"
#include "platform/event_loop.h"

namespace berth::client {

/// A local copy of one collection, kept current by list and watch: it reconnects with back-off and
/// lists again when the history it needs is gone.
///
/// Threads: made, used and destroyed on the loop's thread; handlers run there. The client and the
/// loop outlive it.
class Informer {
 public:
  struct Options {
    Target collection;  ///< `name` empty; `ns` empty for all namespaces
    std::string label_selector;
    std::string field_selector;
    Duration first_retry = Duration::milliseconds(100);
    Duration last_retry = Duration::seconds(10);
  };

  /// Any may be empty. The cache already shows the new state when a handler runs. After a relist
  /// what did not change is not reported, and what vanished is reported as deleted.
  struct Handlers {
    std::function<void(const SharedJson& object)> added;
    std::function<void(const SharedJson& before, const SharedJson& after)> updated;
    std::function<void(const SharedJson& last)> deleted;
    /// Once, after the first full list was reported.
    std::function<void()> synced;
    /// A list or watch failed and will be tried again; for logs and metrics.
    std::function<void(const Error& error)> failed;
  };

  Informer(ApiClient& client, platform::EventLoop& loop, Options options, Handlers handlers);
  ~Informer();
  Informer(const Informer&) = delete;
  Informer& operator=(const Informer&) = delete;

  /// Begins; the first handler runs in a later turn of the loop.
  void start();
  bool synced() const { return synced_; }

  /// The object, or null.
  SharedJson find(std::string_view ns, std::string_view name) const;
  /// Ordered by namespace, then name.
  const std::map<std::pair<std::string, std::string>, SharedJson, std::less<>>& objects() const {
    return objects_;
  }

  /// Objects by a value computed from each, such as the node a pod is bound to. `key_of` is pure;
  /// an object may have several keys. Added before `start`.
  using KeysOf = std::function<std::vector<std::string>(const Json& object)>;
  void add_index(std::string name, KeysOf keys_of);
  std::vector<SharedJson> by_index(std::string_view index, std::string_view key) const;

 private:
  using Key = std::pair<std::string, std::string>;
  struct Index {
    KeysOf keys_of;
    std::map<std::string, std::map<Key, SharedJson>, std::less<>> objects;
  };

  void begin_list();
  void on_list(const List& list);
  void begin_watch(std::string resource_version);
  void on_event(const WatchEvent& event);
  void on_end(const Result<>& how);
  void retry(const Error& why);
  void put(const SharedJson& object);
  void drop(const Key& key);
  void unindex(const Key& key, const Json& object);
  /// Work for the loop that does nothing once this informer is gone or has begun anew.
  std::function<void()> in_turn(std::function<void()> work);

  ApiClient& client_;
  platform::EventLoop& loop_;
  Options options_;
  Handlers handlers_;
  std::map<Key, SharedJson, std::less<>> objects_;
  std::map<std::string, Index, std::less<>> indexes_;
  std::string resource_version_;
  bool synced_ = false;
  bool relist_ = true;
  Duration delay_;
  /// The current attempt; what an earlier one still has in flight finds it changed.
  std::shared_ptr<int> attempt_;
  /// Shut when this goes: a list still under way must not post to a loop that may be gone.
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::unique_ptr<Watch> watch_;
  platform::EventLoop::TimerId retry_timer_ = 0;
};

}  // namespace berth::client
