#include "apiserver/api/upkeep.h"

#include <algorithm>
#include <future>
#include <set>
#include <utility>
#include <vector>

#include "apiserver/access/authorizer.h"
#include "apiserver/api/admission.h"
#include "apiserver/api/lifecycle.h"
#include "client/gate.h"

namespace berth::apiserver {
namespace {

constexpr Duration kSweepEvery = Duration::milliseconds(500);
constexpr Duration kEventsEvery = Duration::minutes(1);
constexpr Duration kEventsKept = Duration::hours(1);
constexpr size_t kEventsPerSweep = 1'000;

/// The newest time in an event.
Time last_seen(const Json& event) {
  Time newest{};
  const std::string_view fields[] = {
      objects::find_string(event, {"lastTimestamp"}), objects::find_string(event, {"eventTime"}),
      objects::find_string(event, {"series", "lastObservedTime"}),
      objects::find_string(event, {"metadata", "creationTimestamp"})};
  for (const std::string_view text : fields) {
    if (const auto time = parse_time(text)) newest = std::max(newest, *time);
  }
  return newest;
}

}  // namespace

/// Lives as long as work of it is on the loop; the gate says whether the server still does.
struct Upkeep::Turn : std::enable_shared_from_this<Upkeep::Turn> {
  explicit Turn(ObjectsApi& objects_api) : api(objects_api) {}

  ObjectsApi& api;
  client::Gate gate;
  std::unique_ptr<Store::Subscription> namespaces;
  std::set<std::string> terminating;  ///< used on the event loop only
  bool sweeping = false;

  void watch_namespaces() {
    const objects::Kind* kind = api.registry().find("", "v1", "namespaces");
    ObjectsApi::WatchRequest request;
    request.initial_events = true;
    auto subscription = api.watch({kind, "", "", ""}, request, [this](const auto& event) {
      if (!event.object) return;
      const SharedJson ns = event.object->tree();
      const std::string name(objects::name_of(*ns));
      if (event.type == client::WatchEvent::Type::kDeleted) {
        terminating.erase(name);
      } else if (is_deleting(*ns)) {
        terminating.insert(name);
        if (!std::exchange(sweeping, true)) sweep();
      }
    });
    if (subscription) namespaces = *std::move(subscription);
  }

  void sweep() {
    if (terminating.empty()) {
      sweeping = false;
      return;
    }
    for (const std::string& ns : terminating) empty_namespace(ns);
    after(kSweepEvery, [this] { sweep(); });
  }

  void after(Duration delay, std::function<void()> work) {
    api.store().events().after(
        delay, [self = shared_from_this(), work = std::move(work)] { self->gate.pass(work); });
  }

  /// Deletes what is in a namespace, as its user would; what has a grace period or finalizers goes
  /// when they are done. Then the namespace goes.
  void empty_namespace(const std::string& ns) {
    std::set<std::string> resources;
    std::vector<const objects::Kind*> kinds;
    for (const objects::Kind* kind : api.registry().kinds()) {
      if (!kind->namespaced || kind->plural.empty() || kind->group == "metrics.k8s.io") continue;
      if (resources.insert(resource_of(*kind)).second) kinds.push_back(kind);
    }
    const Time now = api.clock().now();
    api.store().write(
        [ns, kinds, now](Transaction& transaction) {
          bool empty = true;
          for (const objects::Kind* kind : kinds) {
            std::vector<Store::Item> items;
            transaction.for_each(resource_of(*kind), ns,
                                 [&](const StoreKey& key, const StoredPtr& stored) {
                                   items.push_back({key, stored});
                                   return true;
                                 });
            for (const Store::Item& item : items) {
              const Subject subject{kind, item.key.ns, item.key.name, ""};
              const SharedJson tree = item.object->tree();
              auto step = deletion_step(subject, *tree, Deletion(), now);
              if (!step) continue;
              if (step->gone) {
                transaction.remove(item.key, std::move(step->object));
                continue;
              }
              empty = false;
              if (step->object != *tree) transaction.put(item.key, std::move(step->object));
            }
          }
          const StoreKey key{"namespaces", "", ns};
          const StoredPtr stored = transaction.get(key);
          if (empty && stored &&
              objects::find_array(*stored->tree(), {"metadata", "finalizers"}).empty()) {
            transaction.remove(key, *stored->tree());
          }
          return true;
        },
        [](const Result<>&) {});
  }

  void forget_events() {
    const Time oldest = api.clock().now() - kEventsKept;
    api.store().write(
        [oldest](Transaction& transaction) {
          std::vector<Store::Item> old;
          transaction.for_each("events", "", [&](const StoreKey& key, const StoredPtr& stored) {
            if (last_seen(*stored->tree()) < oldest) old.push_back({key, stored});
            return old.size() < kEventsPerSweep;
          });
          for (const Store::Item& item : old) transaction.remove(item.key, *item.object->tree());
          return true;
        },
        [](const Result<>&) {});
    after(kEventsEvery, [this] { forget_events(); });
  }
};

Upkeep::Upkeep(ObjectsApi& api) : api_(api), turn_(std::make_shared<Turn>(api)) {}
Upkeep::~Upkeep() {
  stop();
}

Result<> Upkeep::create_initial_objects() {
  auto initial = initial_objects();
  auto roles = Authorizer::initial_objects();
  std::ranges::move(roles, std::back_inserter(initial));
  const auto done = std::make_shared<std::promise<Result<>>>();
  const Time now = api_.clock().now();
  api_.store().write(
      [&initial, now, services = api_.services(),
       &registry = api_.registry()](Transaction& transaction) {
        for (auto& [key, object] : initial) {
          if (transaction.get(key)) continue;
          const objects::Kind* kind =
              registry.find_kind(objects::api_version_of(object), objects::kind_of(object));
          if (kind == nullptr) continue;
          const Subject subject{kind, key.ns, key.name, ""};
          WriteContext context;
          context.caller.admin = true;
          std::vector<std::string> warnings;
          auto complete = new_object(subject, Body{std::move(object), {}}, context, now, warnings);
          if (!complete || !admit_new(transaction, subject, *complete, context, {now, services}))
            continue;
          transaction.put(key, *std::move(complete));
        }
        return true;
      },
      [done](const Result<>& kept) { done->set_value(kept); });
  return done->get_future().get();
}

void Upkeep::start() {
  turn_->watch_namespaces();
  turn_->after(kEventsEvery, [turn = turn_.get()] { turn->forget_events(); });
}

void Upkeep::stop() {
  turn_->gate.shut();
  turn_->namespaces.reset();
}

}  // namespace berth::apiserver
