#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/time.h"
#include "controllers/controller.h"
#include "controllers/pods.h"
#include "controllers/view.h"
#include "controllers/write.h"
#include "objects/json.h"
#include "objects/json_text.h"
#include "objects/patch.h"

namespace berth::controllers {

/// Objects that do what controllers write, so that a test reads as facts: put objects in, let
/// controllers settle, look at what is there. Time stands still until a test moves it.
class World {
 public:
  View view;
  Time now = *parse_time("2026-11-23T10:00:00Z");
  std::vector<std::string> notes;  ///< reasons, in order

  ObjectPtr add(Kind kind, std::string_view text) {
    auto parsed = objects::parse_json(text);
    EXPECT_TRUE(parsed) << text;
    return store(kind, std::move(parsed->value));
  }

  ObjectPtr store(Kind kind, Json json) {
    JsonObject& metadata = objects::ensure_object(json, {"metadata"});
    if (!metadata.contains("name")) {
      metadata["name"] = std::string(objects::find_string(json, {"metadata", "generateName"})) +
                         std::to_string(++names_);
    }
    JsonObject& fields = objects::ensure_object(json, {"metadata"});
    if (row(kind).namespaced && !fields.contains("namespace")) fields["namespace"] = "default";
    if (!fields.contains("uid")) fields["uid"] = "uid-" + std::to_string(++uids_);
    if (!fields.contains("creationTimestamp")) fields["creationTimestamp"] = format_time(now);
    if (!fields.contains("generation")) fields["generation"] = 1;
    fields["resourceVersion"] = std::to_string(++version_);
    auto read = Object::read(kind, std::make_shared<const Json>(std::move(json)));
    EXPECT_TRUE(read);
    auto object = std::make_shared<const Object>(*std::move(read));
    view.put(object);
    return object;
  }

  /// Merges into an object, as a user or a kubelet would.
  void change(const Key& key, std::string_view patch_text) {
    auto parsed = objects::parse_json(patch_text);
    ASSERT_TRUE(parsed) << patch_text;
    merge(key, parsed->value);
  }

  const Json& json(const Key& key) {
    static const Json kNothing;
    const ObjectPtr object = view.find(key);
    return object == nullptr ? kNothing : *object->json;
  }

  std::vector<ObjectPtr> pods() { return view.list(Kind::kPod); }
  std::vector<ObjectPtr> active_pods() {
    std::vector<ObjectPtr> active;
    for (const ObjectPtr& pod : pods()) {
      if (is_active(*pod)) active.push_back(pod);
    }
    return active;
  }

  void set_pod(const ObjectPtr& pod, std::string_view phase, bool ready = false,
               std::string_view extra = "") {
    change(pod->key, R"({"spec":{"nodeName":"n1"},"status":{"phase":")" + std::string(phase) +
                         R"(","conditions":[{"type":"Ready","status":")" +
                         (ready ? "True" : "False") + R"(","lastTransitionTime":")" +
                         format_time(now) + R"("})" + std::string(extra) + "]}}");
  }

  /// Marks a pod as taken away by preemption, as control does before it evicts.
  void preempt(const ObjectPtr& pod) {
    set_pod(pod, "Failed", false, R"(,{"type":"DisruptionTarget","status":"True"})");
  }

  Outcome reconcile(const Controller& controller, const Key& key) {
    return controller.reconcile(view, key, now);
  }

  /// Lets one controller look after one object until it has nothing more to write.
  std::optional<Time> settle(const Controller& controller, const Key& key) {
    for (int round = 0; round < 50; ++round) {
      const Outcome outcome = reconcile(controller, key);
      for (const Note& note : outcome.notes) notes.push_back(note.reason);
      if (outcome.writes.empty()) return outcome.again_at;
      for (const Write& write : outcome.writes) apply(write);
    }
    ADD_FAILURE() << controller.name << " does not settle on " << to_string(key);
    return std::nullopt;
  }

  /// The same for several controllers and everything that concerns them.
  void settle_all(const std::vector<const Controller*>& controllers) {
    for (int round = 0; round < 100; ++round) {
      bool wrote = false;
      for (const Controller* controller : controllers) {
        for (const Key& key : keys_of(*controller)) {
          const Outcome outcome = reconcile(*controller, key);
          for (const Write& write : outcome.writes) apply(write);
          wrote = wrote || !outcome.writes.empty();
        }
      }
      if (!wrote) return;
    }
    ADD_FAILURE() << "the controllers do not settle";
  }

  void apply(const Write& write) {
    switch (write.verb) {
      case Write::Verb::kCreate:
        store(write.key.kind, write.body);
        break;
      case Write::Verb::kPatch:
      case Write::Verb::kPatchStatus:
      case Write::Verb::kPatchScale:
      case Write::Verb::kPatchResize:
        patch(write);
        break;
      case Write::Verb::kDelete:
        remove(write.key, write.grace && write.grace->ns == 0);
        break;
    }
  }

  /// What the server does: finalizers and running processes hold an object.
  void remove(const Key& key, bool at_once = false) {
    const ObjectPtr object = view.find(key);
    if (object == nullptr) return;
    const bool runs = key.kind == Kind::kPod && is_bound(*object) && !is_finished(*object);
    if ((runs && !at_once) || holds(*object)) {
      if (!object->deleting) {
        change(key, R"({"metadata":{"deletionTimestamp":")" + format_time(now) + R"("}})");
      }
      return;
    }
    view.remove(key, now);
  }

  /// The kubelet's last word: the processes have stopped.
  void stop(const ObjectPtr& pod) {
    const ObjectPtr current = view.find(pod->key);
    if (current != nullptr && !holds(*current)) view.remove(pod->key, now);
  }

 private:
  static bool holds(const Object& object) {
    return !objects::find_array(*object.json, {"metadata", "finalizers"}).empty();
  }

  void patch(const Write& write) {
    const ObjectPtr object = view.find(write.key);
    if (object == nullptr) return;
    const std::string_view version =
        objects::find_string(write.body, {"metadata", "resourceVersion"});
    if (!version.empty() && version != object->resource_version) return;  // a conflict
    Json body = write.body;
    objects::ensure_object(body, {"metadata"}).erase("resourceVersion");
    if (write.verb == Write::Verb::kPatchStatus) {
      body = JsonObject{{"status", *objects::find(body, {"status"})}};
    }
    merge(write.key, body);
    const ObjectPtr after = view.find(write.key);
    if (after->deleting && !holds(*after) &&
        !(write.key.kind == Kind::kPod && is_bound(*after) && !is_finished(*after))) {
      view.remove(write.key, now);
    }
  }

  void merge(const Key& key, const Json& body) {
    const ObjectPtr object = view.find(key);
    ASSERT_NE(object, nullptr) << to_string(key);
    Json after = *object->json;
    objects::apply_merge_patch(after, body);
    const Json* before_spec = objects::find(*object->json, {"spec"});
    const Json* after_spec = objects::find(after, {"spec"});
    if (before_spec != nullptr && after_spec != nullptr && *before_spec != *after_spec) {
      objects::ensure_object(after, {"metadata"})["generation"] =
          objects::find_int(after, {"metadata", "generation"}) + 1;
    }
    store(key.kind, std::move(after));
  }

  std::vector<Key> keys_of(const Controller& controller) {
    std::vector<Key> keys;
    for (const KindRow& kind : all_kinds()) {
      for (const ObjectPtr& object : view.list(kind.kind)) {
        controller.affected(view, *object, keys);
      }
    }
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    return keys;
  }

  int names_ = 0;
  int uids_ = 0;
  int version_ = 0;
};

}  // namespace berth::controllers
