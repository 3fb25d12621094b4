#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "apiserver/storage/log_file.h"
#include "apiserver/storage/stored.h"
#include "base/error.h"
#include "client/gate.h"
#include "platform/event_loop.h"

namespace berth::apiserver {

class Store;

/// What one write does, on the store's writer thread: it sees everything written before it, durable
/// or not yet, and changes nothing unless it returns true.
class Transaction {
 public:
  StoredPtr get(const StoreKey& key) const;
  /// In the order of namespace and name; `ns` empty for all. Stops when `visit` returns false.
  void for_each(std::string_view resource, std::string_view ns,
                const std::function<bool(const StoreKey&, const StoredPtr&)>& visit) const;

  /// Stores the object, new or changed, with the next revision as its `metadata.resourceVersion`.
  SharedJson put(const StoreKey& key, Json object);
  /// Removes it; `last` is what watches are shown.
  SharedJson remove(const StoreKey& key, Json last);

 private:
  friend class Store;
  Transaction(const Store& store, Revision revision) : store_(store), revision_(revision) {}

  const Store& store_;
  Revision revision_;
  std::vector<std::pair<ChangePtr, SharedJson>> changes_;
};

/// All objects: in memory for reading, in a log for keeping. Reads and watches show only what is
/// durable.
class Store {
 public:
  struct Limits {
    size_t history_changes = 20'000;
    size_t history_bytes = size_t{8} << 20;
  };

  struct Item {
    StoreKey key;
    StoredPtr object;
  };

  struct Snapshot {
    std::vector<Item> items;
    Revision revision = 0;
    bool more = false;     ///< `limit` cut it short
    size_t remaining = 0;  ///< how many come after, where it was cut
  };

  struct ListQuery {
    std::string resource;
    std::string ns;  ///< empty for all
    /// Only what comes after this namespace and name.
    std::pair<std::string, std::string> after;
    size_t limit = 0;       ///< 0: all
    Revision revision = 0;  ///< 0: now
    /// Counts towards the limit only what this accepts; may be empty.
    std::function<bool(const StoredPtr&)> accept;
  };

  /// A running watch. Destroying it stops it, as client::Watch says.
  class Subscription;

  struct Listener {
    /// First, and only when asked for: what there is.
    std::function<void(const Snapshot&)> on_snapshot;
    std::function<void(const ChangePtr&)> on_change;
  };

  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& file, Limits limits);
  ~Store();

  using Work = std::function<bool(Transaction&)>;
  /// `done` is called on the loop of `events`, after the work's changes are durable and shown, or
  /// with an error when they could not be kept. Success also when the work returned false.
  void write(Work work, std::function<void(Result<>)> done);

  StoredPtr get(const StoreKey& key) const;
  /// kGone when `revision` is older than the history.
  Result<Snapshot> list(const ListQuery& query) const;
  Revision revision() const;

  /// Changes of a resource after `since` (0: from now), in order, on the loop of `events`. With
  /// `on_snapshot`, the state first and what comes after it. kGone when `since` is older than the
  /// history; kInvalid when it is not reached yet.
  Result<std::unique_ptr<Subscription>> subscribe(const std::string& resource,
                                                  const std::string& ns, Revision since,
                                                  Listener listener);

  /// Where completions and changes are delivered, one after the other. Also for work of others that
  /// must be in order with them.
  platform::EventLoop& events() { return events_; }

  /// Why nothing can be written at the moment; empty when it can.
  std::string write_trouble() const;

  /// Finishes what was asked for and stops the threads; later writes fail.
  void stop();

 private:
  friend class Transaction;
  using Name = std::pair<std::string, std::string>;
  struct Subscriber;
  using Table = std::map<Name, StoredPtr>;
  struct Request {
    Work work;
    std::function<void(Result<>)> done;
  };

  Store(LogFile log, Limits limits);
  Result<> load();
  void run_writer();
  void run_batch(std::vector<Request> batch);
  Result<> keep(const std::vector<std::pair<ChangePtr, SharedJson>>& changes);
  void publish(std::vector<std::pair<ChangePtr, SharedJson>> changes);
  void remember(const ChangePtr& change);
  void trim_history();
  StoredPtr latest(const StoreKey& key) const;
  StoredPtr find_locked(const StoreKey& key) const;

  const Limits limits_;
  LogFile log_;
  platform::EventLoop events_;

  // The writer thread's own.
  std::map<StoreKey, StoredPtr> pending_;  ///< of the batch; null: removed
  Revision last_revision_ = 0;
  std::deque<Revision> to_forget_;

  mutable std::shared_mutex mutex_;  ///< guards the following
  /// Changed by the writer alone, which therefore reads it without the lock.
  std::map<std::string, Table, std::less<>> tables_;
  std::map<std::string, std::set<std::shared_ptr<Subscriber>>, std::less<>> subscribers_;
  std::deque<ChangePtr> history_;
  size_t history_bytes_ = 0;
  Revision horizon_ = 0;
  Revision visible_ = 0;
  std::string write_trouble_;

  std::mutex queue_mutex_;
  std::condition_variable queue_changed_;
  std::vector<Request> queue_;
  bool stopping_ = false;

  std::thread writer_, dispatcher_;
};

class Store::Subscription {
 public:
  Subscription(Store& store, std::string resource, std::shared_ptr<Subscriber> subscriber);
  ~Subscription();

 private:
  Store& store_;
  const std::string resource_;
  const std::shared_ptr<Subscriber> subscriber_;
};

}  // namespace berth::apiserver
