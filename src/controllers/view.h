#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "controllers/kinds.h"
#include "controllers/scaling/verdict.h"
#include "controllers/scaling/vertical/use_history.h"
#include "core/cost/price_list.h"
#include "objects/json.h"
#include "platform/models/model_header.h"

namespace berth::controllers {

struct OwnerRef {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;
  bool controller = false;
  bool blocks_deletion = false;
};

/// One object as last seen, with what every controller asks of its metadata already read.
struct Object {
  Key key;
  std::string uid;
  std::string resource_version;
  std::vector<OwnerRef> owners;
  Time created;
  bool deleting = false;
  SharedJson json;

  /// Fails on a document without name or uid.
  static Result<Object> read(Kind kind, SharedJson json);

  /// The owner that acts for this object, or null.
  const OwnerRef* controller() const;
  bool has_finalizer(std::string_view finalizer) const;
  std::string_view label(std::string_view key, std::string_view fallback = {}) const;
  std::string_view annotation(std::string_view key, std::string_view fallback = {}) const;
};
using ObjectPtr = std::shared_ptr<const Object>;

/// What the controllers know of the API: the newest version seen of each object, indexed by place,
/// uid and owner. Reconcilers read it through a const reference and never wait for it; it may lag
/// behind the server, which `Expectations` accounts for.
class View {
 public:
  /// Replaces an older version. Answers the version that it replaced, if any.
  ObjectPtr put(ObjectPtr object);
  /// Answers the object that was removed, if any. `now` is kept for nodes, see `absent_since`.
  ObjectPtr remove(const Key& key, Time now);

  ObjectPtr find(const Key& key) const;
  ObjectPtr find_uid(std::string_view uid) const;
  /// Ordered by name. An empty `ns` means every namespace.
  std::vector<ObjectPtr> list(Kind kind, std::string_view ns = {}) const;
  /// Everything that names this uid as an owner, ordered by key.
  std::vector<ObjectPtr> dependents(std::string_view owner_uid) const;
  /// The objects of one kind for which nobody acts as controller, ordered by name.
  std::vector<ObjectPtr> orphans(Kind kind, std::string_view ns) const;
  /// The dependents of one kind for which this uid is the acting controller.
  std::vector<ObjectPtr> controlled(std::string_view owner_uid, Kind kind) const;

  /// Since when a node that is not there has been known to be missing: since it was removed, or
  /// since the view began.
  Time absent_since(const Key& node) const;
  void set_began(Time at) { began_ = at; }

  /// What a model's files on this machine say of it; an error too where nobody here can read them.
  Result<platform::ModelHeader> model_header(const std::string& path) const;
  using ModelReader = std::function<Result<platform::ModelHeader>(const std::string& path)>;
  void set_model_reader(ModelReader reader) { read_model_ = std::move(reader); }

  /// What devices, CPUs and memory cost; empty: nothing has a price.
  const core::PriceList& prices() const { return prices_; }
  void set_prices(core::PriceList prices) { prices_ = std::move(prices); }

  /// What scaling decided for a ModelService or Deployment; null where it is not scaled.
  VerdictPtr verdict(const Key& key) const;
  void set_verdict(const Key& key, VerdictPtr verdict);

  /// What the containers that run used of late.
  const UseHistory& use() const { return use_; }
  void add_use(const std::vector<PodUse>& pods) { use_.add(pods); }

  /// Why the last write for `key` was refused; empty when it was not. Lets a status say so.
  std::string_view failure(const Key& key) const;
  /// The objects of one kind for which that is so.
  std::vector<Key> failing(Kind kind, std::string_view ns) const;
  void set_failure(const Key& key, std::string message);
  void clear_failure(const Key& key);

 private:
  ObjectPtr take(const Key& key);
  void unindex(const Object& object);

  std::map<Key, ObjectPtr> objects_;
  std::set<Key> uncontrolled_;
  std::map<std::string, ObjectPtr, std::less<>> by_uid_;
  std::map<std::string, std::set<Key>, std::less<>> by_owner_;
  std::map<Key, std::string> failures_;
  std::map<Key, VerdictPtr> verdicts_;
  core::PriceList prices_;
  UseHistory use_;
  std::map<Key, Time> lost_nodes_;
  Time began_;
  ModelReader read_model_;
};

}  // namespace berth::controllers
