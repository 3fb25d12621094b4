#include "apiserver/http/handler.h"

#include <algorithm>
#include <charconv>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "objects/json_text.h"
#include "objects/protobuf/decode.h"
#include "platform/tls/crypto.h"

namespace berth::apiserver {
namespace {

using objects::find_int;
using objects::find_string;

std::optional<int64_t> to_integer(std::string_view text) {
  int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The media type of a header, without its parameters.
std::string_view media_type(std::string_view header) {
  const std::string_view type = header.substr(0, header.find(';'));
  const size_t last = type.find_last_not_of(' ');
  return last == std::string_view::npos ? std::string_view() : type.substr(0, last + 1);
}

Answer<Body> read_body(const objects::Registry& registry, const platform::HttpRequest& request) {
  const std::string_view type = media_type(request.headers.get("Content-Type"));
  if (type == "application/vnd.kubernetes.protobuf") {
    auto decoded = objects::decode_protobuf(registry, request.body);
    if (!decoded) return bad_request(decoded.error().to_string());
    return Body{*std::move(decoded), {}};
  }
  if (!type.empty() && type != "application/json") {
    return unsupported_media_type(fmt::format(
        "the body of the request was in an unknown format ({}): this server reads application/json "
        "and application/vnd.kubernetes.protobuf",
        type));
  }
  auto parsed = objects::parse_json(request.body);
  if (!parsed) return bad_request("the body is not JSON: " + parsed.error().to_string());
  return Body{std::move(parsed->value), std::move(parsed->duplicates)};
}

Answer<std::pair<client::PatchType, Json>> patch_body(const platform::HttpRequest& request) {
  const std::string_view type = media_type(request.headers.get("Content-Type"));
  client::PatchType patch_type{};
  if (type == "application/json-patch+json") {
    patch_type = client::PatchType::kJson;
  } else if (type == "application/merge-patch+json") {
    patch_type = client::PatchType::kMerge;
  } else if (type == "application/strategic-merge-patch+json") {
    patch_type = client::PatchType::kStrategicMerge;
  } else if (type == "application/apply-patch+yaml") {
    return std::pair(client::PatchType::kApply, Json());
  } else {
    return unsupported_media_type(
        fmt::format("the body of the request was in an unknown format ({}): a patch is "
                    "application/json-patch+json, application/merge-patch+json or "
                    "application/strategic-merge-patch+json",
                    type));
  }
  auto parsed = objects::parse_json(request.body);
  if (!parsed) return bad_request("the patch is not JSON: " + parsed.error().to_string());
  return std::pair(patch_type, std::move(parsed->value));
}

Answer<WriteContext> write_context(const Call& call) {
  WriteContext context;
  context.caller = call.caller;
  const std::string_view dry_run = call.address.get("dryRun");
  if (!dry_run.empty() && dry_run != "All") {
    return bad_request(fmt::format("dryRun: `{}` is not supported; use All", dry_run));
  }
  context.dry_run = dry_run == "All";
  if (const auto mode = call.address.get("fieldValidation"); !mode.empty()) {
    const auto parsed = objects::parse_field_validation(mode);
    if (!parsed) return bad_request("fieldValidation: " + parsed.error().to_string());
    context.validation = *parsed;
  }
  return context;
}

Answer<ObjectsApi::ListRequest> list_request(const Address& address) {
  ObjectsApi::ListRequest request;
  request.label_selector = address.get("labelSelector");
  request.field_selector = address.get("fieldSelector");
  if (const std::string_view limit = address.get("limit"); !limit.empty()) {
    const auto number = to_integer(limit);
    if (!number) return bad_request(fmt::format("limit `{}` is not a number", limit));
    request.limit = *number;
  }
  request.continue_token = address.get("continue");
  request.resource_version = address.get("resourceVersion");
  request.resource_version_match = address.get("resourceVersionMatch");
  return request;
}

Answer<Deletion> deletion_of(const objects::Registry& registry, const Call& call) {
  Deletion deletion;
  Json body(JsonObject{});
  if (!call.request().body.empty()) {
    auto parsed = read_body(registry, call.request());
    if (!parsed) return std::unexpected(std::move(parsed).error());
    if (!parsed->value.is_object()) return bad_request("the body is no DeleteOptions");
    body = std::move(parsed->value);
  }
  const auto text = [&](std::string_view key) {
    const std::string_view in_query = call.address.get(key);
    return std::string(in_query.empty() ? find_string(body, {key}) : in_query);
  };
  if (const std::string_view grace = call.address.get("gracePeriodSeconds"); !grace.empty()) {
    deletion.grace_s = to_integer(grace);
    if (!deletion.grace_s) return bad_request("gracePeriodSeconds is not a number");
  } else if (objects::find(body, {"gracePeriodSeconds"}) != nullptr) {
    deletion.grace_s = find_int(body, {"gracePeriodSeconds"});
  }
  if (deletion.grace_s && *deletion.grace_s < 0) {
    return bad_request("gracePeriodSeconds must not be negative");
  }
  deletion.propagation = text("propagationPolicy");
  if (!deletion.propagation.empty() && deletion.propagation != "Background" &&
      deletion.propagation != "Foreground" && deletion.propagation != "Orphan") {
    return bad_request("propagationPolicy is one of Background, Foreground and Orphan");
  }
  if (objects::find_bool(body, {"orphanDependents"})) deletion.propagation = "Orphan";
  deletion.uid = find_string(body, {"preconditions", "uid"});
  deletion.resource_version = find_string(body, {"preconditions", "resourceVersion"});
  deletion.dry_run = call.address.get("dryRun") == "All";
  for (const Json& stage : objects::find_array(body, {"dryRun"})) {
    deletion.dry_run = deletion.dry_run || find_string(stage, {}) == "All";
  }
  return deletion;
}

std::string verb_of(const Call& call, const ResourcePath& path) {
  const std::string& method = call.request().method;
  if (method == "GET" || method == "HEAD") {
    if (call.address.flag("watch")) return "watch";
    return path.name.empty() ? "list" : "get";
  }
  if (method == "POST") return "create";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return path.name.empty() ? "deletecollection" : "delete";
  return {};
}

Status unauthorized() {
  return Status::of(401, "Unauthorized",
                    "Unauthorized: send a bearer token of this server, as its kubeconfig has it");
}

Status no_such_resource() {
  return Status::of(404, "NotFound", "the server could not find the requested resource");
}

Status forbidden_attempt(const Caller& caller, const Attempt& attempt) {
  if (!attempt.path.empty()) {
    return Status::of(403, "Forbidden",
                      fmt::format("forbidden: User \"{}\" cannot {} path \"{}\"", caller.user,
                                  attempt.verb, attempt.path));
  }
  std::string resource = attempt.resource;
  if (!attempt.subresource.empty()) resource += "/" + attempt.subresource;
  const std::string where = attempt.ns.empty()
                                ? std::string(" at the cluster scope")
                                : fmt::format(" in the namespace \"{}\"", attempt.ns);
  const std::string full =
      attempt.group.empty() ? attempt.resource : attempt.resource + "." + attempt.group;
  Status status = Status::of(
      403, "Forbidden",
      fmt::format("{}{} is forbidden: User \"{}\" cannot {} resource \"{}\" in API group \"{}\"{}",
                  full, attempt.name.empty() ? "" : fmt::format(" \"{}\"", attempt.name),
                  caller.user, attempt.verb, resource, attempt.group, where));
  if (caller.user.starts_with("local:"))
    status.message += "; an administrator adds users of this machine: `sudo berth user add NAME`";
  status.kind = attempt.resource;
  status.group = attempt.group;
  status.name = attempt.name;
  return status;
}

}  // namespace

void Handler::set_providers(const Providers& providers) {
  const std::unique_lock lock(mutex_);
  providers_ = providers;
}

Providers Handler::providers() const {
  const std::shared_lock lock(mutex_);
  return providers_;
}

void Handler::handle(std::shared_ptr<platform::HttpExchange> exchange) {
  auto call = std::make_shared<Call>();
  call->exchange = std::move(exchange);
  auto address = Address::parse(call->request().target);
  if (!address) {
    return call->refuse(bad_request("the address has a wrong percent escape").error());
  }
  call->address = *std::move(address);

  const std::string& path = call->address.path;
  if (path == "/healthz" || path == "/livez" || path == "/readyz") {
    const std::string trouble = path == "/readyz" ? parts_.api.store().write_trouble() : "";
    if (!trouble.empty()) return call->answer({500, {}, "cannot write: " + trouble + "\n"});
    return call->answer({200, {}, "ok"});
  }
  // 1. Who is it?
  if (const auto& peer = call->request().peer) {
    call->caller = parts_.identity.by_uid(peer->uid);
  } else {
    const std::string_view header = call->request().headers.get("Authorization");
    const bool bearer = header.starts_with("Bearer ");
    auto caller = bearer ? parts_.identity.by_token(header.substr(7)) : std::nullopt;
    if (!caller) return call->refuse(unauthorized());
    call->caller = *std::move(caller);
  }
  const auto form = negotiate(call->request().headers.get("Accept"));
  const bool is_openapi = path.starts_with("/openapi/") || path == "/metrics";
  if (!form && !is_openapi) {
    return call->refuse(Status::of(406, "NotAcceptable", "only application/json can be given"));
  }
  call->form = form.value_or(Form::kObject);
  // 2. What is asked?
  if (const auto resource = ResourcePath::parse(call->address.segments);
      resource && !resource->resource.empty()) {
    return handle_resource(call, *resource);
  }
  // Whoever may see a pod may have it explained.
  if (path.starts_with("/berth/v1/explain/") && call->request().method == "GET")
    return explain(call);
  Attempt attempt;
  attempt.verb = call->request().method == "GET" ? "get" : "create";
  attempt.path = path;
  if (!parts_.authorizer.allows(call->caller, attempt)) {
    return call->refuse(forbidden_attempt(call->caller, attempt));
  }
  if (!handle_path(call)) call->refuse(no_such_resource());
}

void Handler::handle_resource(const CallPtr& call, const ResourcePath& path) {
  if (path.group == "authorization.k8s.io" && path.resource == "selfsubjectaccessreviews") {
    return review_own_access(call);
  }
  const objects::Kind* kind = parts_.api.registry().find(path.group, path.version, path.resource);
  if (kind == nullptr) return call->refuse(no_such_resource());
  const bool one = !path.name.empty();
  if (!kind->namespaced && !path.ns.empty()) return call->refuse(no_such_resource());
  const std::string verb = verb_of(*call, path);
  // 3. May they?
  Attempt attempt{verb, path.group, path.resource, path.subresource, path.ns, path.name, {}};
  if (kind->kind == "Namespace" && path.group.empty() && one) attempt.ns = path.name;
  if (!parts_.authorizer.allows(call->caller, attempt)) {
    return call->refuse(forbidden_attempt(call->caller, attempt));
  }
  if (path.group == "metrics.k8s.io") return usage(call, path, *kind);
  // 4. Do it.
  const Subject subject{kind, path.ns, path.name, path.subresource};
  const bool on_object = path.subresource.empty();
  if (!on_object && kind->find_subresource(path.subresource) == nullptr) {
    return call->refuse(no_such_resource());
  }
  if (one && kind->namespaced && path.ns.empty()) return call->refuse(no_such_resource());
  if (verb == "get" && path.subresource == "log") return log(call, subject);
  if (verb == "get") return read(call, subject);
  if (verb == "list" || verb == "watch") return list(call, subject);
  if ((verb == "create" && (!one || !on_object)) || verb == "update" || verb == "patch") {
    return write(call, subject);
  }
  if (on_object && (verb == "delete" || verb == "deletecollection")) return remove(call, subject);
  call->refuse(method_not_allowed(call->request().method).error());
}

void Handler::read(const CallPtr& call, const Subject& subject) {
  if (subject.subresource == "scale") {
    const auto object = parts_.api.read(subject);
    if (!object) return call->refuse(object.error());
    return call->answer(json_response(200, objects::canonical_json(**object) + "\n"));
  }
  if (!subject.subresource.empty() && subject.subresource != "status" &&
      subject.subresource != "resize") {
    return call->refuse(method_not_allowed("GET").error());
  }
  const auto stored = parts_.api.get(subject);
  if (!stored) return call->refuse(stored.error());
  const Presenter presenter(*subject.kind, call->form, call->address, parts_.api.clock());
  call->answer(json_response(200, presenter.object(**stored)));
}

void Handler::list(const CallPtr& call, const Subject& subject) {
  const Address& address = call->address;
  const Presenter presenter(*subject.kind, call->form, address, parts_.api.clock());
  const auto asked = list_request(address);
  if (!asked) return call->refuse(asked.error());
  const ObjectsApi::ListRequest& request = *asked;
  if (!address.flag("watch")) {
    const auto answer = parts_.api.list(subject, request);
    if (!answer) return call->refuse(answer.error());
    return call->answer(json_response(200, presenter.list(*answer)));
  }
  Streams::WatchOptions options;
  options.request.label_selector = request.label_selector;
  options.request.field_selector = request.field_selector;
  options.request.name = subject.name;
  if (!request.resource_version.empty()) {
    const auto since = to_integer(request.resource_version);
    if (!since || *since < 0) {
      return call->refuse(bad_request("resourceVersion is not a number").error());
    }
    options.request.since = *since;
  }
  const bool streaming_list = address.flag("sendInitialEvents");
  // Without a place to start from, Kubernetes shows what there is first.
  options.request.initial_events = streaming_list || options.request.since == 0;
  options.request.end_of_initial = streaming_list;
  options.bookmarks = address.flag("allowWatchBookmarks");
  const auto timeout = to_integer(address.get("timeoutSeconds"));
  constexpr int64_t kDay = 86'400;
  // Watches end at different times, so that not all clients come back at once.
  const int64_t own =
      1800 + static_cast<int64_t>(std::hash<std::string>()(platform::random_bytes(4)) % 1800);
  options.timeout = Duration::seconds(timeout && *timeout > 0 ? std::min(*timeout, kDay) : own);
  parts_.streams.watch(call->exchange, subject, options, presenter);
}

ObjectsApi::Done Handler::written(const CallPtr& call, const Subject& subject) const {
  return [call, kind = subject.kind, plain = subject.subresource.empty(),
          clock = &parts_.api.clock()](Answer<Written> answer) {
    if (!answer) return call->refuse(answer.error());
    const Json& object = *answer->object;
    std::string body;
    if (call->form != Form::kObject && plain && find_string(object, {"kind"}) == kind->kind) {
      const Presenter presenter(*kind, call->form, call->address, *clock);
      body = presenter.object(Stored(objects::canonical_json(object),
                                     to_integer(objects::resource_version_of(object)).value_or(0)));
    } else {
      body = objects::canonical_json(object);
    }
    call->answer(json_response(answer->created ? 201 : 200, body + "\n", answer->warnings));
  };
}

void Handler::write(const CallPtr& call, const Subject& subject) {
  auto context = write_context(*call);
  if (!context) return call->refuse(context.error());
  const std::string& method = call->request().method;
  if (method == "PATCH") return patch(call, subject, *context);
  auto body = read_body(parts_.api.registry(), call->request());
  if (!body) return call->refuse(body.error());
  if (method == "POST") {
    parts_.api.create(subject, *std::move(body), *std::move(context), written(call, subject));
  } else if (subject.name.empty()) {
    call->refuse(method_not_allowed(method).error());
  } else {
    parts_.api.update(subject, *std::move(body), *std::move(context), written(call, subject));
  }
}

void Handler::patch(const CallPtr& call, const Subject& subject, const WriteContext& context) {
  if (subject.name.empty()) return call->refuse(method_not_allowed("PATCH").error());
  auto body = patch_body(call->request());
  if (!body) return call->refuse(body.error());
  parts_.api.patch(subject, body->first, std::move(body->second), context, written(call, subject));
}

void Handler::remove(const CallPtr& call, const Subject& subject) {
  auto deletion = deletion_of(parts_.api.registry(), *call);
  if (!deletion) return call->refuse(deletion.error());
  if (!subject.name.empty()) {
    return parts_.api.remove(subject, *std::move(deletion), written(call, subject));
  }
  const auto selected = list_request(call->address);
  if (!selected) return call->refuse(selected.error());
  parts_.api.remove_all(subject, *selected, *std::move(deletion), written(call, subject));
}

void Handler::review_own_access(const CallPtr& call) {
  auto body = read_body(parts_.api.registry(), call->request());
  if (!body) return call->refuse(body.error());
  Json review = std::move(body->value);
  if (!review.is_object()) return call->refuse(bad_request("the body is no review").error());
  const auto attribute = [&](std::string_view key) {
    return std::string(find_string(review, {"spec", "resourceAttributes", key}));
  };
  Attempt attempt{attribute("verb"),
                  attribute("group"),
                  attribute("resource"),
                  attribute("subresource"),
                  attribute("namespace"),
                  attribute("name"),
                  std::string(find_string(review, {"spec", "nonResourceAttributes", "path"}))};
  if (!attempt.path.empty()) {
    attempt.verb = find_string(review, {"spec", "nonResourceAttributes", "verb"});
  }
  review.as_object()["status"] =
      JsonObject{{"allowed", parts_.authorizer.allows(call->caller, attempt)}};
  call->answer(json_response(201, objects::canonical_json(review) + "\n"));
}

void Handler::log(const CallPtr& call, const Subject& subject) {
  Subject pod = subject;
  pod.subresource.clear();
  const auto stored = parts_.api.get(pod);
  if (!stored) return call->refuse(stored.error());
  const SharedJson tree = (*stored)->tree();
  const Address& address = call->address;
  LogRequest request;
  request.ns = subject.ns;
  request.pod = subject.name;
  request.pod_uid = objects::uid_of(*tree);
  request.container = address.get("container");
  request.follow = address.flag("follow");
  request.previous = address.flag("previous");
  request.timestamps = address.flag("timestamps");
  request.tail_lines = to_integer(address.get("tailLines"));
  request.limit_bytes = to_integer(address.get("limitBytes"));
  if (const auto seconds = to_integer(address.get("sinceSeconds"))) {
    request.since = parts_.api.clock().now() - Duration::seconds(*seconds);
  } else if (const auto text = address.get("sinceTime"); !text.empty()) {
    const auto time = parse_time(text);
    if (!time) return call->refuse(bad_request("sinceTime: " + time.error().to_string()).error());
    request.since = *time;
  }
  std::vector<std::string> names;
  for (const std::string_view list : {"containers", "initContainers"}) {
    for (const Json& container : objects::find_array(*tree, {"spec", list})) {
      names.emplace_back(find_string(container, {"name"}));
    }
    if (list == "containers" && request.container.empty() && names.size() == 1) {
      request.container = names.front();
    }
  }
  const std::string all = fmt::format("{}", fmt::join(names, " "));
  if (request.container.empty()) {
    return call->refuse(bad_request(fmt::format("a container name must be specified for pod {}, "
                                                "choose one of: [{}]",
                                                subject.name, all))
                            .error());
  }
  if (std::ranges::find(names, request.container) == names.end()) {
    return call->refuse(bad_request(fmt::format("container {} is not valid for pod {}, choose one "
                                                "of: [{}]",
                                                request.container, subject.name, all))
                            .error());
  }
  LogSource* source = providers().logs;
  if (source == nullptr) {
    return call->refuse(
        from_error({ErrorCode::kUnavailable, "no node agent runs here: there are no logs", {}, {}})
            .error());
  }
  parts_.streams.log(call->exchange, *source, std::move(request));
}

}  // namespace berth::apiserver
