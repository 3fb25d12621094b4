#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "client/api_client.h"
#include "objects/json.h"

namespace berth::node {

/// Objects in memory, with lists, watches and merge patches: the API as the network's followers see
/// it, where no server is wanted.
class MemoryApi final : public client::ApiClient {
 public:
  void put(const std::string& plural, Json object) {
    const std::lock_guard lock(mutex_);
    put_locked(plural, std::move(object));
  }

  void erase(const std::string& plural, const std::string& ns, const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_[plural].find(ns + "/" + name);
    if (found == objects_[plural].end()) return;
    const SharedJson last = found->second;
    objects_[plural].erase(found);
    tell(plural, client::WatchEvent::Type::kDeleted, last);
  }

  SharedJson find(const std::string& plural, const std::string& ns, const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_[plural].find(ns + "/" + name);
    return found == objects_[plural].end() ? nullptr : found->second;
  }

  void get(client::Target, OnObject done) override { done(unsupported()); }
  void create(client::Target, Json, client::WriteOptions, OnObject done) override {
    done(unsupported());
  }
  void update(client::Target, Json, client::WriteOptions, OnObject done) override {
    done(unsupported());
  }
  void remove(client::Target, client::DeleteOptions, OnObject done) override {
    done(unsupported());
  }

  void list(client::Target target, client::ListOptions, OnList done) override {
    client::List answer;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [key, object] : objects_[target.resource.plural])
        answer.items.push_back(object);
      answer.resource_version = std::to_string(version_);
    }
    done(std::move(answer));
  }

  void patch(client::Target target, client::PatchType, Json patch, client::WriteOptions,
             OnObject done) override {
    SharedJson result;
    {
      const std::lock_guard lock(mutex_);
      const SharedJson before = objects_[target.resource.plural][target.ns + "/" + target.name];
      Json object = *before;
      for (const auto& [field, value] : patch.as_object()["spec"].as_object())
        object.as_object()["spec"].as_object()[field] = value;
      result = put_locked(target.resource.plural, std::move(object));
    }
    done(result);
  }

  std::unique_ptr<client::Watch> watch(client::Target target, client::WatchOptions options,
                                       OnEvent on_event, OnEnd) override {
    const std::lock_guard lock(mutex_);
    auto watch = std::make_unique<OpenWatch>();
    watch->api = this;
    watch->plural = target.resource.plural;
    watch->on_event = std::move(on_event);
    // What changed between the list and this.
    for (const auto& [key, object] : objects_[watch->plural]) {
      const auto version = objects::find_string(*object, {"metadata", "resourceVersion"});
      if (std::stoll(std::string(version)) > std::stoll(options.resource_version))
        watch->on_event({client::WatchEvent::Type::kModified, object, false});
    }
    watches_.push_back(watch.get());
    return watch;
  }

 private:
  struct OpenWatch final : client::Watch {
    ~OpenWatch() override {
      const std::lock_guard lock(api->mutex_);
      std::erase(api->watches_, this);
    }
    MemoryApi* api = nullptr;
    std::string plural;
    OnEvent on_event;
  };

  static std::unexpected<Error> unsupported() {
    return fail(ErrorCode::kUnsupported, "not needed by these tests");
  }

  SharedJson put_locked(const std::string& plural, Json object) {
    objects::ensure_object(object, {"metadata"})["resourceVersion"] = std::to_string(++version_);
    const std::string key = std::string(objects::find_string(object, {"metadata", "namespace"})) +
                            "/" + std::string(objects::find_string(object, {"metadata", "name"}));
    const auto shared = std::make_shared<const Json>(std::move(object));
    const bool known = objects_[plural].contains(key);
    objects_[plural][key] = shared;
    tell(plural, known ? client::WatchEvent::Type::kModified : client::WatchEvent::Type::kAdded,
         shared);
    return shared;
  }

  void tell(const std::string& plural, client::WatchEvent::Type type, const SharedJson& object) {
    for (const OpenWatch* watch : watches_) {
      if (watch->plural == plural) watch->on_event({type, object, false});
    }
  }

  std::recursive_mutex mutex_;
  std::map<std::string, std::map<std::string, SharedJson>> objects_;
  std::vector<OpenWatch*> watches_;
  int64_t version_ = 1;
};

}  // namespace berth::node
