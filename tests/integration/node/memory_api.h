#pragma once

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "client/api_client.h"
#include "platform/event_loop.h"

namespace berth::node::testing {

/// Just enough of an API server for the node agent: objects by kind, merge patches, watches by node
/// name. Deletion follows the pods' rule: marked until somebody asks with no grace.
class MemoryApi : public client::ApiClient {
 public:
  MemoryApi() : thread_([this] { loop_.run(); }) {}
  ~MemoryApi() override {
    loop_.stop();
    thread_.join();
  }

  void get(client::Target target, OnObject done) override {
    loop_.post([this, target, done] {
      const std::lock_guard lock(mutex_);
      done(found(target));
    });
  }
  void list(client::Target target, client::ListOptions options, OnList done) override {
    loop_.post([this, target, options, done] {
      const std::lock_guard lock(mutex_);
      client::List out;
      out.resource_version = std::to_string(version_);
      for (const auto& [key, object] : objects_)
        if (key.starts_with(target.resource.plural + "/") &&
            selected(*object, options.field_selector))
          out.items.push_back(object);
      done(std::move(out));
    });
  }
  void create(client::Target target, Json object, client::WriteOptions, OnObject done) override {
    loop_.post([this, target, object = std::move(object), done]() mutable {
      const std::lock_guard lock(mutex_);
      if (target.subresource == "token") {
        done(std::make_shared<const Json>(
            JsonObject{{"status", JsonObject{{"token", "token-of-" + target.name}}}}));
        return;
      }
      target.name = objects::find_string(object, {"metadata", "name"});
      if (objects_.contains(key_of(target))) {
        done(fail(ErrorCode::kAlreadyExists, "exists"));
        return;
      }
      done(put(target, std::move(object), client::WatchEvent::Type::kAdded));
    });
  }
  void update(client::Target target, Json object, client::WriteOptions, OnObject done) override {
    loop_.post([this, target, object = std::move(object), done]() mutable {
      const std::lock_guard lock(mutex_);
      done(put(target, std::move(object), client::WatchEvent::Type::kModified));
    });
  }
  void patch(client::Target target, client::PatchType, Json patch, client::WriteOptions,
             OnObject done) override {
    loop_.post([this, target, patch = std::move(patch), done] {
      const std::lock_guard lock(mutex_);
      const auto current = found(target);
      if (!current) {
        done(current);
        return;
      }
      const auto uid = objects::find_string(patch, {"metadata", "uid"});
      if (!uid.empty() && uid != objects::find_string(**current, {"metadata", "uid"})) {
        done(fail(ErrorCode::kConflict, "another uid"));
        return;
      }
      Json merged = **current;
      merge(merged, patch);
      done(put(target, std::move(merged), client::WatchEvent::Type::kModified));
    });
  }
  void remove(client::Target target, client::DeleteOptions options, OnObject done) override {
    loop_.post([this, target, options, done] {
      const std::lock_guard lock(mutex_);
      const auto current = found(target);
      if (!current) {
        done(current);
        return;
      }
      if (options.grace == Duration{} || target.resource.plural != "pods") {
        notify({client::WatchEvent::Type::kDeleted, *current, false});
        objects_.erase(key_of(target));
        done(*current);
        return;
      }
      Json marked = **current;
      JsonObject& meta = objects::ensure_object(marked, {"metadata"});
      meta["deletionTimestamp"] = "2026-01-01T00:00:00Z";
      meta["deletionGracePeriodSeconds"] =
          options.grace ? options.grace->ns / 1'000'000'000
                        : objects::find_int(marked, {"spec", "terminationGracePeriodSeconds"}, 30);
      done(put(target, std::move(marked), client::WatchEvent::Type::kModified));
    });
  }
  std::unique_ptr<client::Watch> watch(client::Target target, client::WatchOptions options,
                                       OnEvent on_event, OnEnd) override {
    const std::lock_guard lock(mutex_);
    auto watcher = std::make_shared<Watcher>();
    watcher->plural = target.resource.plural;
    watcher->selector = options.field_selector;
    watcher->on_event = std::move(on_event);
    watchers_.push_back(watcher);
    // What changed between a list and this watch.
    const int64_t since = std::atoll(options.resource_version.c_str());
    for (const auto& [key, object] : objects_)
      if (key.starts_with(watcher->plural + "/") && selected(*object, watcher->selector) &&
          std::atoll(
              std::string(objects::find_string(*object, {"metadata", "resourceVersion"})).c_str()) >
              since)
        watcher->on_event({client::WatchEvent::Type::kModified, object, false});
    struct Handle : client::Watch {
      Handle(MemoryApi& owner, std::shared_ptr<Watcher> w) : api(owner), kept(std::move(w)) {}
      ~Handle() override {
        const std::lock_guard guard(api.mutex_);
        std::erase(api.watchers_, kept);
      }
      MemoryApi& api;
      std::shared_ptr<Watcher> kept;
    };
    return std::make_unique<Handle>(*this, std::move(watcher));
  }

  /// What a test looks at.
  Json now(const std::string& plural, const std::string& ns, const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto at = objects_.find(plural + "/" + ns + "/" + name);
    return at == objects_.end() ? Json(nullptr) : *at->second;
  }
  std::vector<Json> all(const std::string& plural) {
    const std::lock_guard lock(mutex_);
    std::vector<Json> out;
    for (const auto& [key, object] : objects_)
      if (key.starts_with(plural + "/")) out.push_back(*object);
    return out;
  }
  /// Writes as a user would.
  void apply(const std::string& plural, Json object) {
    const std::lock_guard lock(mutex_);
    client::Target target;
    target.resource.plural = plural;
    target.ns = objects::find_string(object, {"metadata", "namespace"});
    target.name = objects::find_string(object, {"metadata", "name"});
    const bool there = objects_.contains(key_of(target));
    Json merged = there ? *objects_[key_of(target)] : Json(JsonObject{});
    merge(merged, object);
    put(target, std::move(merged),
        there ? client::WatchEvent::Type::kModified : client::WatchEvent::Type::kAdded);
  }

 private:
  struct Watcher {
    std::string plural;
    std::string selector;
    OnEvent on_event;
  };

  static std::string key_of(const client::Target& t) {
    return t.resource.plural + "/" + t.ns + "/" + t.name;
  }
  static bool selected(const Json& object, const std::string& selector) {
    constexpr std::string_view kNode = "spec.nodeName=";
    return !selector.starts_with(kNode) ||
           objects::find_string(object, {"spec", "nodeName"}) == selector.substr(kNode.size());
  }
  static void merge(Json& into, const Json& patch) {
    if (!patch.is_object()) {
      into = patch;
      return;
    }
    if (!into.is_object()) into = JsonObject{};
    for (const auto& [key, value] : patch.get_object()) {
      if (value.is_null())
        into.get_object().erase(key);
      else
        merge(into.get_object()[key], value);
    }
  }
  Result<SharedJson> found(const client::Target& target) {
    const auto at = objects_.find(key_of(target));
    if (at == objects_.end()) return fail(ErrorCode::kNotFound, "not found", key_of(target));
    return at->second;
  }
  SharedJson put(const client::Target& target, Json object, client::WatchEvent::Type type) {
    JsonObject& meta = objects::ensure_object(object, {"metadata"});
    meta["resourceVersion"] = std::to_string(++version_);
    auto shared = std::make_shared<const Json>(std::move(object));
    objects_[key_of(target)] = shared;
    notify_about(target.resource.plural, {type, shared, false});
    return shared;
  }
  void notify(const client::WatchEvent& event) { notify_about("pods", event); }
  void notify_about(const std::string& plural, const client::WatchEvent& event) {
    for (const auto& watcher : watchers_)
      if (watcher->plural == plural && selected(*event.object, watcher->selector))
        watcher->on_event(event);
  }

  std::recursive_mutex mutex_;
  std::map<std::string, SharedJson> objects_;
  std::vector<std::shared_ptr<Watcher>> watchers_;
  int64_t version_ = 0;
  platform::EventLoop loop_;
  std::thread thread_;
};

}  // namespace berth::node::testing
