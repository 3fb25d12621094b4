#include <algorithm>
#include <mutex>

#include <fmt/format.h>

#include "apiserver/api/selection.h"
#include "apiserver/http/handler.h"
#include "objects/discovery.h"
#include "objects/json_text.h"
#include "objects/openapi.h"
#include "objects/protobuf/openapi_v2.h"

/// What the handler answers that is not about stored objects.
namespace berth::apiserver {
namespace {

using objects::find_string;

platform::HttpResponse json_answer(const Json& body) {
  return json_response(200, objects::canonical_json(body) + "\n");
}

std::unexpected<Status> not_here(std::string what) {
  return from_error({ErrorCode::kUnavailable, std::move(what), {}, {}});
}

/// Does a client of `/openapi/v2` ask for protobuf before anything that JSON serves?
bool prefers_protobuf(std::string_view accept) {
  const size_t protobuf = accept.find(objects::kOpenApiV2Protobuf);
  return protobuf != std::string_view::npos &&
         protobuf < std::min(accept.find("application/json"), accept.find("*/*"));
}

Json version_info() {
  return JsonObject{
      {"major", "1"},    {"minor", "36"},           {"gitVersion", "v1.36.0+berth"},
      {"gitCommit", ""}, {"gitTreeState", "clean"}, {"buildDate", "1970-01-01T00:00:00Z"},
      {"goVersion", ""}, {"compiler", "gcc"},       {"platform", "linux/amd64"}};
}

Json container_usage(const ContainerUsage& container) {
  return JsonObject{{"name", container.name},
                    {"usage", JsonObject{{"cpu", container.cpu.to_string()},
                                         {"memory", container.memory.to_string()}}}};
}

JsonObject usage_head(const objects::Kind& kind, JsonObject metadata, Time at, Duration window) {
  metadata["creationTimestamp"] = format_time(at);
  return {{"apiVersion", kind.api_version()},
          {"kind", kind.kind},
          {"metadata", std::move(metadata)},
          {"timestamp", format_time(at)},
          {"window", format_duration(window)}};
}

}  // namespace

bool Handler::handle_path(const CallPtr& call) {
  const auto& segments = call->address.segments;
  const std::string& path = call->address.path;
  const std::string& method = call->request().method;
  if (path == "/berth/v1/users") return users(call), true;
  if (path == "/berth/v1/demand" && method == "POST") return demand(call), true;
  if (method != "GET" && method != "HEAD") return false;
  if (path == "/version") return call->answer(json_answer(version_info())), true;
  if (path == "/metrics") return metrics(call), true;
  if (path == "/berth/v1/cost") return cost(call), true;
  if (path.starts_with("/openapi/")) return openapi(call), true;
  if (path == "/api" || path == "/apis") return discovery(call, path == "/api"), true;
  const objects::Registry& registry = parts_.api.registry();
  Result<Json> body = fail(ErrorCode::kNotFound, "");
  if (segments.size() == 2 && segments[0] == "apis") {
    body = objects::api_group(registry, segments[1]);
  } else if (segments.size() == 2 && segments[0] == "api") {
    body = objects::api_resource_list(registry, "", segments[1]);
  } else if (segments.size() == 3 && segments[0] == "apis") {
    body = objects::api_resource_list(registry, segments[1], segments[2]);
  }
  if (!body) return false;
  call->answer(json_answer(*body));
  return true;
}

void Handler::discovery(const CallPtr& call, bool core) {
  const objects::Registry& registry = parts_.api.registry();
  if (call->form == Form::kAggregatedDiscovery) {
    auto response = platform::HttpResponse{
        200, {}, objects::canonical_json(objects::api_group_discovery_list(registry, core)) + "\n"};
    response.headers.add("Content-Type",
                         "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    response.headers.add("Vary", "Accept");
    return call->answer(std::move(response));
  }
  call->answer(
      json_answer(core ? objects::api_versions(address_) : objects::api_group_list(registry)));
}

void Handler::openapi(const CallPtr& call) {
  const auto& segments = call->address.segments;
  const objects::Registry& registry = parts_.api.registry();
  Result<Json> document = fail(ErrorCode::kNotFound, "no such document");
  if (call->address.path == "/openapi/v2") {
    document = objects::openapi_v2(registry);
    if (prefers_protobuf(call->request().headers.get("Accept"))) {
      platform::HttpResponse response{200, {}, objects::openapi_v2_protobuf(*document)};
      response.headers.add("Content-Type", std::string(objects::kOpenApiV2ProtobufAnswer));
      response.headers.add("Vary", "Accept");
      return call->answer(std::move(response));
    }
  } else if (call->address.path == "/openapi/v3") {
    document = objects::openapi_v3_index(registry);
  } else if (segments.size() == 4 && segments[1] == "v3" && segments[2] == "api") {
    document = objects::openapi_v3(registry, "", segments[3]);
  } else if (segments.size() == 5 && segments[1] == "v3" && segments[2] == "apis") {
    document = objects::openapi_v3(registry, segments[3], segments[4]);
  }
  if (!document) return call->refuse(from_error(document.error()).error());
  call->answer(json_answer(*document));
}

void Handler::metrics(const CallPtr& call) {
  MetricsSource* source = providers().metrics;
  if (source == nullptr) return call->refuse(not_here("no metrics are collected here").error());
  platform::HttpResponse response;
  response.headers.add("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.body = source->text();
  call->answer(std::move(response));
}

void Handler::explain(const CallPtr& call) {
  const auto& segments = call->address.segments;
  if (segments.size() != 7 || segments[3] != "namespaces" || segments[5] != "pods") {
    return call->refuse(
        bad_request("ask for /berth/v1/explain/namespaces/{namespace}/pods/{name}").error());
  }
  Attempt attempt{"get", "", "pods", "", segments[4], segments[6], ""};
  if (!parts_.authorizer.allows(call->caller, attempt)) {
    return call->refuse(
        Status::of(403, "Forbidden",
                   fmt::format("User \"{}\" cannot get pods in the namespace \"{}\"",
                               call->caller.user, segments[4])));
  }
  ExplainSource* source = providers().explain;
  if (source == nullptr) return call->refuse(not_here("no scheduler runs here").error());
  source->explain(segments[4], segments[6], [call](const Result<Json>& answer) {
    if (!answer) return call->refuse(from_error(answer.error()).error());
    call->answer(json_answer(*answer));
  });
}

void Handler::cost(const CallPtr& call) {
  CostQuery query{.by = std::string(call->address.get("by")), .from = {}, .to = {}};
  if (query.by.empty()) query.by = "queue";
  query.focus = call->address.get("format") == "focus";
  const auto from = parse_time(call->address.get("from"));
  const auto to = parse_time(call->address.get("to"));
  if (!from || !to || *from >= *to)
    return call->refuse(bad_request("ask for /berth/v1/cost?by=queue&from=TIME&to=TIME, with times "
                                    "such as 2026-11-01T00:00:00Z, the first before the second")
                            .error());
  query.from = *from;
  query.to = *to;
  CostSource* source = providers().cost;
  if (source == nullptr) return call->refuse(not_here("no ledger is kept here").error());
  source->report(query, [call](const Result<Json>& answer) {
    if (!answer) return call->refuse(from_error(answer.error()).error());
    call->answer(json_answer(*answer));
  });
}

void Handler::demand(const CallPtr& call) {
  DemandSink* sink = providers().demand;
  if (sink == nullptr) return call->refuse(not_here("no services are scaled here").error());
  const auto body = objects::parse_json(call->request().body);
  if (!body) return call->refuse(bad_request(body.error().to_string()).error());
  if (const auto taken = sink->take(body->value); !taken)
    return call->refuse(from_error(taken.error()).error());
  call->answer(json_answer(JsonObject{}));
}

void Handler::users(const CallPtr& call) {
  if (!call->caller.admin) {
    return call->refuse(Status::of(403, "Forbidden", "only administrators see and add users"));
  }
  if (call->request().method == "GET") {
    JsonArray items;
    for (const Identity::User& user : parts_.identity.users()) {
      JsonArray groups;
      for (const std::string& group : user.groups) groups.emplace_back(group);
      JsonObject entry{{"name", user.name}, {"groups", std::move(groups)}};
      if (user.uid) entry["uid"] = *user.uid;
      items.emplace_back(std::move(entry));
    }
    return call->answer(json_answer(JsonObject{{"items", std::move(items)}}));
  }
  if (call->request().method != "POST") {
    return call->refuse(method_not_allowed(call->request().method).error());
  }
  const auto body = objects::parse_json(call->request().body);
  if (!body) return call->refuse(bad_request(body.error().to_string()).error());
  Identity::User user;
  user.name = find_string(body->value, {"name"});
  if (user.name.empty() || user.name == "admin") {
    return call->refuse(bad_request("`name` must be given, and not be admin").error());
  }
  for (const Json& group : objects::find_array(body->value, {"groups"})) {
    user.groups.emplace_back(find_string(group, {}));
  }
  if (objects::find(body->value, {"uid"}) != nullptr) {
    user.uid = static_cast<uint32_t>(objects::find_int(body->value, {"uid"}));
  }
  parts_.identity.put(user, [call, name = user.name](const Result<std::string>& token) {
    if (!token) return call->refuse(from_error(token.error()).error());
    call->answer(json_answer(JsonObject{{"name", name}, {"token", *token}}));
  });
}

void Handler::usage(const CallPtr& call, const ResourcePath& path, const objects::Kind& kind) {
  if (call->request().method != "GET" || call->address.flag("watch")) {
    return call->refuse(method_not_allowed(call->request().method).error());
  }
  UsageSource* source = providers().usage;
  if (source == nullptr) return call->refuse(not_here("no usage is measured here").error());
  const auto selected = Selection::parse(kind, std::string(call->address.get("labelSelector")), {});
  if (!selected) return call->refuse(selected.error());

  ObjectsApi::ListAnswer answer;
  answer.revision = parts_.api.store().revision();
  const bool nodes = path.resource == "nodes";
  const auto add = [&](const std::string& ns, const std::string& name, JsonObject body) {
    if ((!path.name.empty() && name != path.name) || (!path.ns.empty() && ns != path.ns)) return;
    // Selectors are about the labels of what is measured.
    const StoredPtr measured = parts_.api.store().get({nodes ? "nodes" : "pods", ns, name});
    if (!measured) return;
    if (const Json* labels = objects::find(*measured->tree(), {"metadata", "labels"})) {
      body["metadata"].as_object()["labels"] = *labels;
    }
    auto stored = std::make_shared<const Stored>(objects::canonical_json(body), answer.revision);
    if (selected->matches(*stored)) answer.items.push_back(std::move(stored));
  };
  if (nodes) {
    for (const NodeUsage& node : source->nodes()) {
      JsonObject body = usage_head(kind, {{"name", node.node}}, node.at, node.window);
      body["usage"] =
          JsonObject{{"cpu", node.cpu.to_string()}, {"memory", node.memory.to_string()}};
      add("", node.node, std::move(body));
    }
  } else {
    for (const PodUsage& pod : source->pods()) {
      JsonObject body =
          usage_head(kind, {{"name", pod.pod}, {"namespace", pod.ns}}, pod.at, pod.window);
      JsonArray containers;
      for (const ContainerUsage& one : pod.containers) containers.push_back(container_usage(one));
      body["containers"] = std::move(containers);
      add(pod.ns, pod.pod, std::move(body));
    }
  }
  const Presenter presenter(kind, call->form, call->address, parts_.api.clock());
  if (path.name.empty()) {
    return call->answer(json_response(200, presenter.list(answer)));
  }
  if (answer.items.empty()) return call->refuse(not_found(kind, path.name).error());
  call->answer(json_response(200, presenter.object(*answer.items.front())));
}

}  // namespace berth::apiserver
