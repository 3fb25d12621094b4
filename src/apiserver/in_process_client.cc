#include "apiserver/in_process_client.h"

#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "client/gate.h"
#include "client/status.h"

namespace berth::apiserver {
namespace {

WriteContext context_of(const client::WriteOptions& options) {
  return {{"system:berth", {"system:masters"}, true, {}},
          options.dry_run,
          objects::FieldValidation::kStrict};
}

std::unexpected<Error> to_error(const Status& status) {
  return std::unexpected(client::error_from_status(status.code, status.to_json()));
}

ObjectsApi::Done object_done(client::ApiClient::OnObject done) {
  return [done = std::move(done)](Answer<Written> answer) {
    if (!answer) return done(to_error(answer.error()));
    done(std::move(answer->object));
  };
}

}  // namespace

struct InProcessClient::OpenWatch {
  client::Gate gate;
  OnEvent on_event;
  OnEnd on_end;

  void end(const Error& why) {
    gate.pass([&] {
      gate.shut();
      on_end(std::unexpected(why));
    });
  }
};

class InProcessClient::InProcessWatch final : public client::Watch {
 public:
  InProcessWatch(std::shared_ptr<OpenWatch> open, std::unique_ptr<Store::Subscription> subscription)
      : open_(std::move(open)), subscription_(std::move(subscription)) {}
  ~InProcessWatch() override { open_->gate.shut(); }

 private:
  const std::shared_ptr<OpenWatch> open_;
  const std::unique_ptr<Store::Subscription> subscription_;
};

void InProcessClient::stop() {
  std::vector<std::weak_ptr<OpenWatch>> watches;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    watches = std::move(watches_);
    watches_.clear();
  }
  for (const auto& weak : watches) {
    if (const auto watch = weak.lock()) {
      api_.store().events().post(
          [watch] { watch->end({ErrorCode::kUnavailable, "the server stopped", {}, {}}); });
    }
  }
}

bool InProcessClient::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

template <class Callback, class Value>
void InProcessClient::later(Callback done, Value value) {
  if (stopped()) return done(std::move(value));
  api_.store().events().post([done = std::move(done), value = std::move(value)] { done(value); });
}

Result<Subject> InProcessClient::subject_of(const client::Target& target) const {
  if (stopped()) return fail(ErrorCode::kUnavailable, "the server stopped");
  const auto& [group, version, plural] = target.resource;
  const objects::Kind* kind = api_.registry().find(group, version, plural);
  if (kind == nullptr) {
    return fail(ErrorCode::kNotFound,
                fmt::format("the server has no {}/{} {}", group, version, plural));
  }
  return Subject{kind, kind->namespaced ? target.ns : "", target.name, target.subresource};
}

void InProcessClient::get(client::Target target, OnObject done) {
  const auto subject = subject_of(target);
  if (!subject) return later(std::move(done), Result<SharedJson>(std::unexpected(subject.error())));
  const auto stored = api_.read(*subject);
  if (!stored) return later(std::move(done), Result<SharedJson>(to_error(stored.error())));
  later(std::move(done), Result<SharedJson>(*stored));
}

void InProcessClient::list(client::Target collection, client::ListOptions options, OnList done) {
  const auto subject = subject_of(collection);
  if (!subject) {
    return later(std::move(done), Result<client::List>(std::unexpected(subject.error())));
  }
  ObjectsApi::ListRequest request;
  request.label_selector = std::move(options.label_selector);
  request.field_selector = std::move(options.field_selector);
  request.limit = options.limit;
  request.continue_token = std::move(options.continue_token);
  const auto answer = api_.list(*subject, request);
  if (!answer) return later(std::move(done), Result<client::List>(to_error(answer.error())));
  client::List list;
  list.resource_version = std::to_string(answer->revision);
  list.continue_token = answer->continue_token;
  list.items.reserve(answer->items.size());
  for (const StoredPtr& stored : answer->items) list.items.push_back(stored->tree());
  later(std::move(done), Result<client::List>(std::move(list)));
}

void InProcessClient::create(client::Target target, Json object, client::WriteOptions options,
                             OnObject done) {
  auto subject = subject_of(target);
  if (!subject) return later(std::move(done), Result<SharedJson>(std::unexpected(subject.error())));
  api_.create(*std::move(subject), Body{std::move(object), {}}, context_of(options),
              object_done(std::move(done)));
}

void InProcessClient::update(client::Target target, Json object, client::WriteOptions options,
                             OnObject done) {
  auto subject = subject_of(target);
  if (!subject) return later(std::move(done), Result<SharedJson>(std::unexpected(subject.error())));
  api_.update(*std::move(subject), Body{std::move(object), {}}, context_of(options),
              object_done(std::move(done)));
}

void InProcessClient::patch(client::Target target, client::PatchType type, Json patch,
                            client::WriteOptions options, OnObject done) {
  auto subject = subject_of(target);
  if (!subject) return later(std::move(done), Result<SharedJson>(std::unexpected(subject.error())));
  api_.patch(*std::move(subject), type, std::move(patch), context_of(options),
             object_done(std::move(done)));
}

void InProcessClient::remove(client::Target target, client::DeleteOptions options, OnObject done) {
  auto subject = subject_of(target);
  if (!subject) return later(std::move(done), Result<SharedJson>(std::unexpected(subject.error())));
  Deletion deletion;
  if (options.grace) deletion.grace_s = options.grace->ns / 1'000'000'000;
  deletion.propagation = std::move(options.propagation);
  deletion.uid = std::move(options.precondition_uid);
  deletion.resource_version = std::move(options.precondition_resource_version);
  api_.remove(*std::move(subject), std::move(deletion), object_done(std::move(done)));
}

std::unique_ptr<client::Watch> InProcessClient::watch(client::Target collection,
                                                      client::WatchOptions options,
                                                      OnEvent on_event, OnEnd on_end) {
  const auto shared = std::make_shared<OpenWatch>();
  shared->on_event = std::move(on_event);
  shared->on_end = std::move(on_end);
  const auto end = [this, shared](Error error) {
    if (stopped()) {
      shared->end(error);
    } else {
      api_.store().events().post([shared, error = std::move(error)] { shared->end(error); });
    }
    return std::make_unique<InProcessWatch>(shared, nullptr);
  };
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(watches_, [](const auto& other) { return other.expired(); });
    watches_.push_back(shared);
  }
  const auto subject = subject_of(collection);
  if (!subject) return end(subject.error());

  ObjectsApi::WatchRequest request;
  request.label_selector = std::move(options.label_selector);
  request.field_selector = std::move(options.field_selector);
  request.name = subject->name;
  request.initial_events = options.send_initial_events;
  request.end_of_initial = options.send_initial_events;
  const std::string& since = options.resource_version;
  if (!since.empty()) {
    const auto [last, code] =
        std::from_chars(since.data(), since.data() + since.size(), request.since);
    if (code != std::errc() || last != since.data() + since.size()) {
      return end({ErrorCode::kInvalid,
                  fmt::format("resourceVersion `{}` is not a number", since),
                  {},
                  {}});
    }
  }
  const objects::Kind* kind = subject->kind;
  auto subscription = api_.watch(*subject, request, [shared, kind](const ObjectsApi::Event& event) {
    client::WatchEvent told{event.type, nullptr, event.end_of_initial};
    told.object = event.object ? event.object->tree()
                               : std::make_shared<const Json>(ObjectsApi::bookmark(
                                     *kind, event.revision, event.end_of_initial));
    shared->gate.pass([&] { shared->on_event(std::move(told)); });
  });
  if (!subscription) return end(to_error(subscription.error()).error());
  return std::make_unique<InProcessWatch>(shared, *std::move(subscription));
}

}  // namespace berth::apiserver
