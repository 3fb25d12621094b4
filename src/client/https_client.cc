#include "client/https_client.h"

#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "client/gate.h"
#include "client/status.h"
#include "objects/json_text.h"
#include "platform/storage/files.h"

namespace berth::client {
namespace {

using platform::HttpRequest;
using platform::HttpResponse;
using platform::percent_encode;

constexpr Duration kTimeout = Duration::seconds(30);
constexpr size_t kMaxLine = size_t{64} << 20;
constexpr std::string_view kJson = "application/json";

std::string path_of(const Target& target) {
  const auto& [group, version, plural] = target.resource;
  std::string path =
      group.empty() ? fmt::format("/api/{}", version) : fmt::format("/apis/{}/{}", group, version);
  if (!target.ns.empty()) path += "/namespaces/" + percent_encode(target.ns);
  path += "/" + plural;
  if (!target.name.empty()) path += "/" + percent_encode(target.name);
  if (!target.subresource.empty()) path += "/" + target.subresource;
  return path;
}

class Query {
 public:
  Query& add(std::string_view key, std::string_view value) {
    if (value.empty()) return *this;
    text_ += text_.empty() ? '?' : '&';
    text_ += key;
    text_ += '=';
    text_ += percent_encode(value);
    return *this;
  }
  Query& add(const WriteOptions& options) {
    add("fieldManager", options.field_manager);
    add("dryRun", options.dry_run ? "All" : "");
    return add("force", options.force ? "true" : "");
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// The document of an answer, or the Error that its Status stands for.
Result<Json> document_of(const Result<HttpResponse>& response) {
  if (!response) return std::unexpected(response.error());
  auto parsed = objects::parse_json(response->body);
  if (response->status >= 200 && response->status < 300) {
    if (parsed) return std::move(parsed->value);
    return fail(ErrorCode::kInternal,
                "the API server's answer is not JSON: " + parsed.error().what);
  }
  return std::unexpected(
      error_from_status(response->status, parsed ? parsed->value : Json(nullptr)));
}

/// A list's items carry no apiVersion and kind of their own where they are built-in.
Result<List> list_of(Json document) {
  List list;
  list.resource_version = objects::find_string(document, {"metadata", "resourceVersion"});
  list.continue_token = objects::find_string(document, {"metadata", "continue"});
  std::string kind(objects::find_string(document, {"kind"}));
  if (kind.ends_with("List")) kind.resize(kind.size() - 4);
  const std::string api_version(objects::find_string(document, {"apiVersion"}));
  JsonObject* root = document.if_object();
  Json* items = root == nullptr ? nullptr : root->if_contains("items");
  if (items == nullptr || !items->is_array()) return list;
  for (Json& item : items->get_array()) {
    if (JsonObject* object = item.if_object()) {
      if (!object->contains("kind")) (*object)["kind"] = kind;
      if (!object->contains("apiVersion")) (*object)["apiVersion"] = api_version;
    }
    list.items.push_back(std::make_shared<const Json>(std::move(item)));
  }
  return list;
}

/// Cuts a stream of bytes into lines.
class Lines {
 public:
  /// False: a line is longer than any object may be.
  template <class OnLine>
  bool add(std::string_view bytes, const OnLine& on_line) {
    while (!bytes.empty()) {
      const size_t end = bytes.find('\n');
      rest_ += bytes.substr(0, end);
      if (rest_.size() > kMaxLine) return false;
      if (end == std::string_view::npos) return true;
      bytes.remove_prefix(end + 1);
      const std::string line = std::exchange(rest_, {});
      if (!line.empty()) on_line(line);
    }
    return true;
  }

 private:
  std::string rest_;
};

/// One watch over HTTP: what the HTTP stream says becomes events, until it ends or a Status says
/// why not.
class HttpWatch final : public Watch {
 public:
  struct State {
    Gate gate;
    ApiClient::OnEvent on_event;
    ApiClient::OnEnd on_end;
    std::mutex mutex;
    std::unique_ptr<platform::HttpClient::Stream> stream;  ///< guarded by mutex
    bool gone = false;                                     ///< guarded by mutex
    Lines lines;  ///< the client's thread alone uses what follows
    int status = 0;
    std::string refusal;
    std::optional<Error> failure;

    void take(std::unique_ptr<platform::HttpClient::Stream> opened) {
      const std::lock_guard lock(mutex);
      if (!gone) stream = std::move(opened);
    }
  };

  explicit HttpWatch(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~HttpWatch() override {
    state_->gate.shut();
    std::unique_ptr<platform::HttpClient::Stream> stream;
    const std::lock_guard lock(state_->mutex);
    state_->gone = true;
    stream = std::move(state_->stream);
  }

 private:
  const std::shared_ptr<State> state_;
};

void on_watch_line(HttpWatch::State& state, const std::string& line) {
  auto parsed = objects::parse_json(line);
  JsonObject* root = parsed ? parsed->value.if_object() : nullptr;
  if (root == nullptr || !root->contains("object")) {
    state.failure = Error{ErrorCode::kUnavailable, "the watch sent what is no event", {}, {}};
    return;
  }
  const std::string type(objects::find_string(parsed->value, {"type"}));
  Json object = std::move((*root)["object"]);
  if (type == "ERROR") {
    state.failure = error_from_status(500, object);
    return;
  }
  WatchEvent event{WatchEvent::Type::kBookmark, nullptr, false};
  if (type == "ADDED") event.type = WatchEvent::Type::kAdded;
  if (type == "MODIFIED") event.type = WatchEvent::Type::kModified;
  if (type == "DELETED") event.type = WatchEvent::Type::kDeleted;
  event.initial_events_end = objects::find_string(object, {"metadata", "annotations",
                                                           "k8s.io/initial-events-end"}) == "true";
  event.object = std::make_shared<const Json>(std::move(object));
  state.gate.pass([&] { state.on_event(std::move(event)); });
}

platform::HttpClient::StreamCallbacks watch_callbacks(
    const std::shared_ptr<HttpWatch::State>& state) {
  return {[state](const HttpResponse& head) { state->status = head.status; },
          [state](std::string_view bytes) {
            if (state->status != 200) {
              if (state->refusal.size() < kMaxLine) state->refusal += bytes;
              return;
            }
            const bool fits = state->lines.add(bytes, [&](const std::string& line) {
              if (!state->failure) on_watch_line(*state, line);
            });
            if (!fits) {
              state->failure = Error{ErrorCode::kUnavailable, "an event is too long", {}, {}};
            }
          },
          [state](Result<> how) {
            if (how && state->status != 200) {
              const auto parsed = objects::parse_json(state->refusal);
              how = std::unexpected(
                  error_from_status(state->status, parsed ? parsed->value : Json(nullptr)));
            } else if (state->failure) {
              how = std::unexpected(*state->failure);
            }
            state->gate.pass([&] { state->on_end(how); });
          }};
}

}  // namespace

Result<std::unique_ptr<HttpsClient>> HttpsClient::create(Connection connection) {
  BERTH_TRY(auto http, platform::HttpClient::create(connection.http_options()));
  return std::unique_ptr<HttpsClient>(new HttpsClient(std::move(connection), std::move(http)));
}

HttpRequest HttpsClient::make_request(std::string method, std::string target) const {
  HttpRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.headers.add("Accept", std::string(kJson));
  request.headers.add("User-Agent", "berth");
  std::string token = connection_.token;
  if (!connection_.token_file.empty()) {
    if (const auto text = platform::read_file(connection_.token_file)) token = trim(*text);
  }
  if (!token.empty()) request.headers.add("Authorization", "Bearer " + token);
  return request;
}

void HttpsClient::send(std::string method, std::string target, std::string content_type,
                       std::string body, OnObject done) {
  HttpRequest request = make_request(std::move(method), std::move(target));
  if (!body.empty()) request.headers.add("Content-Type", std::move(content_type));
  request.body = std::move(body);
  http_->request(connection_.endpoint, std::move(request), kTimeout,
                 [done = std::move(done)](const Result<HttpResponse>& response) {
                   auto document = document_of(response);
                   if (!document) return done(std::unexpected(document.error()));
                   done(std::make_shared<const Json>(*std::move(document)));
                 });
}

void HttpsClient::raw(HttpRequest request, std::function<void(Result<HttpResponse>)> done) {
  HttpRequest complete = make_request(request.method, request.target);
  HttpRequest merged;
  merged.method = std::move(request.method);
  merged.target = std::move(request.target);
  merged.body = std::move(request.body);
  for (const auto& [name, value] : request.headers.entries()) merged.headers.add(name, value);
  for (const auto& [name, value] : complete.headers.entries()) {
    if (!request.headers.has(name)) merged.headers.add(name, value);
  }
  http_->request(connection_.endpoint, std::move(merged), kTimeout, std::move(done));
}

void HttpsClient::get(Target target, OnObject done) {
  send("GET", path_of(target), {}, {}, std::move(done));
}

void HttpsClient::list(Target collection, ListOptions options, OnList done) {
  Query query;
  query.add("labelSelector", options.label_selector)
      .add("fieldSelector", options.field_selector)
      .add("limit", options.limit > 0 ? std::to_string(options.limit) : "")
      .add("continue", options.continue_token);
  http_->request(connection_.endpoint, make_request("GET", path_of(collection) + query.text()),
                 kTimeout, [done = std::move(done)](const Result<HttpResponse>& response) {
                   auto document = document_of(response);
                   if (!document) return done(std::unexpected(document.error()));
                   done(list_of(*std::move(document)));
                 });
}

void HttpsClient::create(Target target, Json object, WriteOptions options, OnObject done) {
  send("POST", path_of(target) + Query().add(options).text(), std::string(kJson),
       objects::canonical_json(object), std::move(done));
}

void HttpsClient::update(Target target, Json object, WriteOptions options, OnObject done) {
  send("PUT", path_of(target) + Query().add(options).text(), std::string(kJson),
       objects::canonical_json(object), std::move(done));
}

void HttpsClient::patch(Target target, PatchType type, Json patch, WriteOptions options,
                        OnObject done) {
  std::string content_type = "application/strategic-merge-patch+json";
  if (type == PatchType::kJson) content_type = "application/json-patch+json";
  if (type == PatchType::kMerge) content_type = "application/merge-patch+json";
  if (type == PatchType::kApply) content_type = "application/apply-patch+yaml";
  send("PATCH", path_of(target) + Query().add(options).text(), std::move(content_type),
       objects::canonical_json(patch), std::move(done));
}

void HttpsClient::remove(Target target, DeleteOptions options, OnObject done) {
  JsonObject body{
      {"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"propagationPolicy", options.propagation}};
  if (options.grace) body["gracePeriodSeconds"] = options.grace->ns / 1'000'000'000;
  JsonObject preconditions;
  if (!options.precondition_uid.empty()) preconditions["uid"] = options.precondition_uid;
  if (!options.precondition_resource_version.empty()) {
    preconditions["resourceVersion"] = options.precondition_resource_version;
  }
  if (!preconditions.empty()) body["preconditions"] = std::move(preconditions);
  send("DELETE", path_of(target), std::string(kJson), objects::canonical_json(body),
       std::move(done));
}

std::unique_ptr<Watch> HttpsClient::watch(Target collection, WatchOptions options, OnEvent on_event,
                                          OnEnd on_end) {
  auto state = std::make_shared<HttpWatch::State>();
  state->on_event = std::move(on_event);
  state->on_end = std::move(on_end);
  const auto open = [this, state, collection, options](const std::string& resource_version) {
    Query query;
    query.add("watch", "true")
        .add("allowWatchBookmarks", "true")
        .add("labelSelector", options.label_selector)
        .add("fieldSelector", options.field_selector)
        .add("resourceVersion", resource_version);
    if (options.send_initial_events) {
      query.add("sendInitialEvents", "true").add("resourceVersionMatch", "NotOlderThan");
    }
    state->take(http_->stream(connection_.endpoint,
                              make_request("GET", path_of(collection) + query.text()), kTimeout,
                              watch_callbacks(state)));
  };
  if (!options.resource_version.empty() || options.send_initial_events) {
    open(options.resource_version);
  } else {
    // A server that is not told where to start shows what there is first: ask it where "now" is.
    list(collection, {.label_selector = {}, .field_selector = {}, .limit = 1, .continue_token = {}},
         [state, open](const Result<List>& now) {
           if (now) return open(now->resource_version);
           state->gate.pass([&] { state->on_end(std::unexpected(now.error())); });
         });
  }
  return std::make_unique<HttpWatch>(std::move(state));
}

std::unique_ptr<Watch> HttpsClient::log(Target pod, const LogOptions& options,
                                        std::function<void(std::string_view)> on_bytes,
                                        OnEnd on_end) {
  pod.subresource = "log";
  Query query;
  query.add("container", options.container)
      .add("follow", options.follow ? "true" : "")
      .add("previous", options.previous ? "true" : "")
      .add("timestamps", options.timestamps ? "true" : "")
      .add("tailLines", options.tail_lines >= 0 ? std::to_string(options.tail_lines) : "")
      .add("sinceSeconds", options.since_seconds > 0 ? std::to_string(options.since_seconds) : "");
  auto state = std::make_shared<HttpWatch::State>();
  state->on_end = std::move(on_end);
  auto callbacks = watch_callbacks(state);
  callbacks.on_bytes = [state, on_bytes = std::move(on_bytes)](std::string_view bytes) {
    if (state->status == 200) {
      state->gate.pass([&] { on_bytes(bytes); });
    } else if (state->refusal.size() < kMaxLine) {
      state->refusal += bytes;
    }
  };
  state->take(http_->stream(connection_.endpoint, make_request("GET", path_of(pod) + query.text()),
                            kTimeout, std::move(callbacks)));
  return std::make_unique<HttpWatch>(std::move(state));
}

}  // namespace berth::client
