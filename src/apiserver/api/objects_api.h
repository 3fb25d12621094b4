#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apiserver/api/lifecycle.h"
#include "apiserver/api/request.h"
#include "apiserver/api/status.h"
#include "apiserver/storage/store.h"
#include "base/subnet.h"
#include "base/time.h"
#include "client/api_client.h"
#include "objects/schema.h"

namespace berth::apiserver {

/// The verbs of the API on stored objects, for whoever calls: HTTP or in-process. The caller was
/// authorised before.
///
/// Threads: any. A `done` is called exactly once, on the store's event loop or before the call
/// returns.
class ObjectsApi {
 public:
  struct ListRequest {
    std::string label_selector;
    std::string field_selector;
    int64_t limit = 0;
    std::string continue_token;
    std::string resource_version;
    std::string resource_version_match;
  };

  struct ListAnswer {
    std::vector<StoredPtr> items;
    Revision revision = 0;
    std::string continue_token;
    std::optional<size_t> remaining;
  };

  struct WatchRequest {
    std::string label_selector;
    std::string field_selector;
    std::string name;  ///< of one object only
    Revision since = 0;
    bool initial_events = false;  ///< the state first, as additions
    bool end_of_initial = false;  ///< and a bookmark after it
  };

  struct Event {
    client::WatchEvent::Type type = client::WatchEvent::Type::kAdded;
    StoredPtr object;  ///< null in a bookmark
    Revision revision = 0;
    bool end_of_initial = false;
  };

  using Done = std::function<void(Answer<Written>)>;

  /// Services get their addresses from `services`.
  ObjectsApi(Store& store, const objects::Registry& registry, const Clock& clock,
             const Subnet& services);

  Answer<StoredPtr> get(const Subject& subject) const;
  /// The same as a tree, also through a subresource that shows the object otherwise (`scale`).
  Answer<SharedJson> read(const Subject& subject) const;
  Answer<ListAnswer> list(const Subject& subject, const ListRequest& request) const;
  /// Events come on the store's event loop.
  Answer<std::unique_ptr<Store::Subscription>> watch(
      const Subject& subject, const WatchRequest& request,
      const std::function<void(const Event&)>& on_event);

  void create(Subject subject, Body body, WriteContext context, Done done);
  void update(Subject subject, Body body, WriteContext context, Done done);
  void patch(Subject subject, client::PatchType type, Json patch, WriteContext context, Done done);
  void remove(Subject subject, Deletion deletion, Done done);
  /// Every object of the collection that the request selects; answers with a List of them.
  void remove_all(Subject subject, ListRequest request, Deletion deletion, Done done);

  /// What a watch's bookmark carries.
  static Json bookmark(const objects::Kind& kind, Revision revision, bool end_of_initial);

  Store& store() { return store_; }
  const objects::Registry& registry() const { return registry_; }
  const Clock& clock() const { return clock_; }
  const Subnet& services() const { return services_; }

 private:
  using Work = std::function<Answer<Written>(Transaction&)>;

  void run(Work work, bool dry_run, Done done);
  Answer<Written> store_update(Transaction& transaction, const Subject& subject,
                               const StoredPtr& before, Body body, const WriteContext& context);
  Answer<Written> store_deletion(Transaction& transaction, const Subject& subject,
                                 const StoredPtr& before, const Deletion& deletion);
  Answer<StoredPtr> find(const Transaction& transaction, const Subject& subject) const;
  Answer<Written> create_in(Transaction& transaction, const Subject& subject, Json object,
                            const WriteContext& context);
  Answer<Written> bind(Transaction& transaction, const Subject& subject, const Json& binding);
  Answer<Written> evict(Transaction& transaction, const Subject& subject, const Json& eviction);
  Answer<Written> rescale(Transaction& transaction, const Subject& subject, const Json& before,
                          const Json& scale, const WriteContext& context);

  Store& store_;
  const objects::Registry& registry_;
  const Clock& clock_;
  const Subnet services_;
};

/// The resource that a kind's objects are kept under, and one object's key.
std::string resource_of(const objects::Kind& kind);
StoreKey key_of(const Subject& subject);

}  // namespace berth::apiserver
