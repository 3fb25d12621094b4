#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "objects/json.h"

namespace berth::client {

/// A collection of the API: `{"apps", "v1", "deployments"}`. The core group is "".
struct Resource {
  std::string group;
  std::string version;
  std::string plural;

  bool operator==(const Resource&) const = default;
};

/// One object, a subresource of one (`status`, `binding`, ...), or with an empty name a collection.
/// `ns` is empty for cluster-scoped kinds and for "all namespaces".
struct Target {
  Resource resource;
  std::string ns;
  std::string name;
  std::string subresource;
};

struct ListOptions {
  std::string label_selector = {};  ///< Kubernetes syntax; empty selects all
  std::string field_selector = {};
  int64_t limit = 0;  ///< 0: everything in one answer
  std::string continue_token = {};
};

struct List {
  std::vector<SharedJson> items;
  std::string resource_version = {};
  std::string continue_token = {};
};

enum class PatchType { kJson, kMerge, kStrategicMerge, kApply };

struct WriteOptions {
  std::string field_manager = "berth";
  bool dry_run = false;
  bool force = false;  ///< server-side apply only: take over conflicting fields
};

struct DeleteOptions {
  std::optional<Duration> grace = {};      ///< unset: the object's own
  std::string propagation = "Background";  ///< Background, Foreground or Orphan
  std::string precondition_uid = {};
  std::string precondition_resource_version = {};
};

struct WatchOptions {
  std::string resource_version =
      {};  ///< empty: from now; with `send_initial_events`, the state first
  std::string label_selector = {};
  std::string field_selector = {};
  bool send_initial_events = false;
};

struct WatchEvent {
  enum class Type { kAdded, kModified, kDeleted, kBookmark };
  Type type;
  SharedJson object;
  bool initial_events_end = false;  ///< the bookmark that closes `send_initial_events`
};

/// A running watch. Destroying it stops the watch: no callback starts after the destructor returns.
class Watch {
 public:
  virtual ~Watch() = default;
};

/// The Kubernetes API as Berth's parts use it: the embedded server in-process, or any server over
/// HTTPS. It promises the weaker of the two: calls are asynchronous, writes are compare-and-swap on
/// one object, there is no order between kinds, and a write that fails with `kTimeout` or
/// `kUnavailable` may have happened.
///
/// Threads: every member may be called from any thread. A callback runs exactly once, on a thread
/// of the client, and must return quickly; a caller with a loop of its own posts to it.
class ApiClient {
 public:
  using OnObject = std::function<void(Result<SharedJson>)>;
  using OnList = std::function<void(Result<List>)>;
  using OnEvent = std::function<void(WatchEvent)>;
  /// How a watch ended: an error (`kGone` asks for a new list), or success when the server closed
  /// it.
  using OnEnd = std::function<void(Result<>)>;

  virtual ~ApiClient() = default;

  virtual void get(Target target, OnObject done) = 0;
  virtual void list(Target collection, ListOptions options, OnList done) = 0;
  /// Also creates subresource objects: `binding`, `eviction`, `token`.
  virtual void create(Target target, Json object, WriteOptions options, OnObject done) = 0;
  /// Fails with `kConflict` when the object's `metadata.resourceVersion` is set and not the newest.
  virtual void update(Target target, Json object, WriteOptions options, OnObject done) = 0;
  virtual void patch(Target target, PatchType type, Json patch, WriteOptions options,
                     OnObject done) = 0;
  virtual void remove(Target target, DeleteOptions options, OnObject done) = 0;
  /// `on_event` calls come one after the other and in order; after `on_end` there are none.
  virtual std::unique_ptr<Watch> watch(Target collection, WatchOptions options, OnEvent on_event,
                                       OnEnd on_end) = 0;
};

}  // namespace berth::client
