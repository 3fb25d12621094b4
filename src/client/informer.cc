#include "client/informer.h"

#include <algorithm>
#include <set>

#include "objects/json.h"

namespace berth::client {
namespace {

std::pair<std::string, std::string> key_of(const Json& object) {
  return {std::string(objects::find_string(object, {"metadata", "namespace"})),
          std::string(objects::find_string(object, {"metadata", "name"}))};
}

std::string_view version_of(const Json& object) {
  return objects::find_string(object, {"metadata", "resourceVersion"});
}

}  // namespace

Informer::Informer(ApiClient& client, platform::EventLoop& loop, Options options, Handlers handlers)
    : client_(client),
      loop_(loop),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      delay_(options_.first_retry),
      attempt_(std::make_shared<int>()) {}

Informer::~Informer() {
  gate_->shut();
  loop_.cancel(retry_timer_);
  watch_.reset();
}

void Informer::start() {
  begin_list();
}

SharedJson Informer::find(std::string_view ns, std::string_view name) const {
  const auto found = objects_.find(Key(ns, name));
  return found == objects_.end() ? nullptr : found->second;
}

void Informer::add_index(std::string name, KeysOf keys_of) {
  indexes_[std::move(name)].keys_of = std::move(keys_of);
}

std::vector<SharedJson> Informer::by_index(std::string_view index, std::string_view key) const {
  std::vector<SharedJson> found;
  const auto at = indexes_.find(index);
  if (at == indexes_.end()) return found;
  const auto bucket = at->second.objects.find(key);
  if (bucket == at->second.objects.end()) return found;
  found.reserve(bucket->second.size());
  for (const auto& [unused, object] : bucket->second) found.push_back(object);
  return found;
}

std::function<void()> Informer::in_turn(std::function<void()> work) {
  return [attempt = std::weak_ptr(attempt_), work = std::move(work)] {
    if (!attempt.expired()) work();
  };
}

void Informer::begin_list() {
  attempt_ = std::make_shared<int>();
  const ListOptions options{.label_selector = options_.label_selector,
                            .field_selector = options_.field_selector,
                            .limit = 0,
                            .continue_token = {}};
  // The answer comes on a thread of the client: it may only post, and only while we are here.
  client_.list(options_.collection, options,
               [this, gate = gate_, attempt = std::weak_ptr(attempt_)](Result<List> answer) {
                 gate->pass([&] {
                   loop_.post([this, attempt, answer = std::move(answer)] {
                     if (attempt.expired()) return;
                     if (!answer) return retry(answer.error());
                     on_list(*answer);
                   });
                 });
               });
}

void Informer::on_list(const List& list) {
  relist_ = false;
  delay_ = options_.first_retry;
  std::set<Key> gone;
  for (const auto& [key, unused] : objects_) gone.insert(key);
  const auto attempt = std::weak_ptr(attempt_);
  for (const SharedJson& object : list.items) {
    gone.erase(key_of(*object));
    put(object);
    if (attempt.expired()) return;  // a handler destroyed this
  }
  for (const Key& key : gone) {
    drop(key);
    if (attempt.expired()) return;
  }
  if (!synced_) {
    synced_ = true;
    if (handlers_.synced) handlers_.synced();
    if (attempt.expired()) return;
  }
  begin_watch(list.resource_version);
}

void Informer::begin_watch(std::string resource_version) {
  attempt_ = std::make_shared<int>();
  resource_version_ = std::move(resource_version);
  const WatchOptions options{.resource_version = resource_version_,
                             .label_selector = options_.label_selector,
                             .field_selector = options_.field_selector,
                             .send_initial_events = false};
  const auto attempt = std::weak_ptr(attempt_);
  watch_ = client_.watch(
      options_.collection, options,
      [this, &loop = loop_, attempt](WatchEvent event) {
        loop.post([this, attempt, event = std::move(event)] {
          if (!attempt.expired()) on_event(event);
        });
      },
      [this, &loop = loop_, attempt](Result<> how) {
        loop.post([this, attempt, how = std::move(how)] {
          if (!attempt.expired()) on_end(how);
        });
      });
}

void Informer::on_event(const WatchEvent& event) {
  delay_ = options_.first_retry;
  resource_version_ = version_of(*event.object);
  switch (event.type) {
    case WatchEvent::Type::kAdded:
    case WatchEvent::Type::kModified:
      return put(event.object);
    case WatchEvent::Type::kDeleted: {
      const Key key = key_of(*event.object);
      // The last state is in the event: an owner may look at it in `deleted`.
      if (const auto found = objects_.find(key); found != objects_.end()) {
        unindex(key, *found->second);
        found->second = event.object;
        for (auto& [unused, index] : indexes_) {
          for (std::string& value : index.keys_of(*event.object)) {
            index.objects[std::move(value)][key] = event.object;
          }
        }
      }
      return drop(key);
    }
    case WatchEvent::Type::kBookmark:
      return;
  }
}

void Informer::on_end(const Result<>& how) {
  if (!how && how.error().code == ErrorCode::kGone) relist_ = true;
  // A server that closes a watch in good order is asked again at once.
  if (how) return begin_watch(resource_version_);
  retry(how.error());
}

void Informer::retry(const Error& why) {
  watch_.reset();
  attempt_ = std::make_shared<int>();
  const auto attempt = std::weak_ptr(attempt_);
  if (handlers_.failed) handlers_.failed(why);
  if (attempt.expired()) return;
  retry_timer_ = loop_.after(
      delay_, in_turn([this] { relist_ ? begin_list() : begin_watch(resource_version_); }));
  delay_ = std::min(delay_ * 2, options_.last_retry);
}

void Informer::put(const SharedJson& object) {
  const Key key = key_of(*object);
  SharedJson& slot = objects_[key];
  const SharedJson before = slot;
  if (before && version_of(*before) == version_of(*object)) return;
  if (before) unindex(key, *before);
  slot = object;
  for (auto& [unused, index] : indexes_) {
    for (std::string& value : index.keys_of(*object)) index.objects[std::move(value)][key] = object;
  }
  if (before) {
    if (handlers_.updated) handlers_.updated(before, object);
  } else if (handlers_.added) {
    handlers_.added(object);
  }
}

void Informer::drop(const Key& key) {
  const auto found = objects_.find(key);
  if (found == objects_.end()) return;
  const SharedJson last = found->second;
  unindex(key, *last);
  objects_.erase(found);
  if (handlers_.deleted) handlers_.deleted(last);
}

void Informer::unindex(const Key& key, const Json& object) {
  for (auto& [unused, index] : indexes_) {
    for (const std::string& value : index.keys_of(object)) {
      const auto bucket = index.objects.find(value);
      if (bucket == index.objects.end()) continue;
      bucket->second.erase(key);
      if (bucket->second.empty()) index.objects.erase(bucket);
    }
  }
}

}  // namespace berth::client
