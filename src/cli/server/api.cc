#include "cli/server/api.h"

#include <cstdio>
#include <utility>

#include <fmt/format.h>

#include "client/status.h"
#include "objects/json_text.h"
#include "platform/http/message.h"

namespace berth::cli {
namespace {

/// `299 - "text"` as the header has it.
std::string unquote_warning(const std::string& warning) {
  const size_t first = warning.find('"');
  const size_t last = warning.rfind('"');
  return first == last ? warning : warning.substr(first + 1, last - first - 1);
}

Result<Json> parse(const std::string& body) {
  BERTH_TRY(objects::ParsedJson parsed, objects::parse_json(body));
  return std::move(parsed.value);
}

}  // namespace

std::string escape(std::string_view text) {
  return platform::percent_encode(text);
}

std::string query(const std::vector<std::pair<std::string_view, std::string>>& parameters) {
  std::string text;
  for (const auto& [key, value] : parameters) {
    if (value.empty()) continue;
    if (!text.empty()) text += '&';
    text += fmt::format("{}={}", key, escape(value));
  }
  return text;
}

Error error_of(const HttpAnswer& answer) {
  const Result<Json> status = parse(answer.body);
  if (status) return client::error_from_status(answer.status, *status);
  Error error = client::error_from_status(answer.status, Json());
  error.what = fmt::format("the server answered {}: {}", answer.status, answer.body.substr(0, 300));
  return error;
}

Api::Api(Endpoint endpoint)
    : endpoint_(std::move(endpoint)),
      round_(std::make_shared<HttpRound>(endpoint_)),
      registry_(objects::Registry::built_in()) {}

Result<Api> Api::open(const Globals& globals) {
  BERTH_TRY(Endpoint endpoint, find_endpoint(globals, SearchPath::of_this_user()));
  return Api(std::move(endpoint));
}

std::string Api::path(const objects::Kind& kind, std::string_view ns, std::string_view name,
                      std::string_view subresource) {
  std::string text = kind.group.empty() ? fmt::format("/api/{}", kind.version)
                                        : fmt::format("/apis/{}/{}", kind.group, kind.version);
  if (kind.namespaced && !ns.empty()) text += "/namespaces/" + escape(ns);
  text += '/';
  text += kind.plural;
  if (!name.empty()) text += '/' + escape(name);
  if (!subresource.empty()) text += '/' + escape(subresource);
  return text;
}

const objects::Kind& Api::kind(std::string_view group, std::string_view plural) const {
  for (const objects::Kind* candidate : registry_->kinds()) {
    if (candidate->group == group && candidate->plural == plural) return *candidate;
  }
  std::abort();
}

Result<HttpAnswer> Api::call(const HttpCall& call) const {
  BERTH_TRY(HttpAnswer answer, round_->send(call));
  for (const std::string& warning : answer.warnings) {
    fmt::print(stderr, "Warning: {}\n", unquote_warning(warning));
  }
  if (answer.status / 100 != 2) return std::unexpected(error_of(answer));
  return answer;
}

Result<Json> Api::get(const std::string& target, std::string_view accept) const {
  HttpCall request;
  request.target = target;
  request.accept = accept;
  BERTH_TRY(const HttpAnswer answer, call(request));
  return parse(answer.body);
}

Result<std::optional<Json>> Api::find(const std::string& target) const {
  Result<Json> found = get(target);
  if (found) return std::optional<Json>(*std::move(found));
  if (found.error().code == ErrorCode::kNotFound) return std::optional<Json>();
  return std::unexpected(std::move(found).error());
}

Result<std::vector<Json>> Api::list(const objects::Kind& kind, std::string_view ns,
                                    const std::string& parameters) const {
  std::string target = path(kind, ns);
  if (!parameters.empty()) target += '?' + parameters;
  BERTH_TRY(Json answer, get(target));
  std::vector<Json> items;
  for (Json& item : objects::ensure_object(answer, {})["items"].get_array()) {
    // Lists leave out what their items have in common.
    if (JsonObject* object = item.if_object()) {
      object->insert_or_assign("apiVersion", kind.api_version());
      object->insert_or_assign("kind", kind.kind);
    }
    items.push_back(std::move(item));
  }
  return items;
}

Result<Json> Api::create(const std::string& target, const Json& object) const {
  HttpCall request{"POST", target, "application/json", "application/json",
                   objects::canonical_json(object)};
  BERTH_TRY(const HttpAnswer answer, call(request));
  return parse(answer.body);
}

Result<Json> Api::patch(const std::string& target, const Json& change,
                        std::string_view type) const {
  HttpCall request{"PATCH", target, "application/json", std::string(type),
                   objects::canonical_json(change)};
  BERTH_TRY(const HttpAnswer answer, call(request));
  return parse(answer.body);
}

Result<Json> Api::remove(const std::string& target, const Json& options) const {
  HttpCall request{"DELETE", target, "application/json", "application/json",
                   objects::canonical_json(options)};
  BERTH_TRY(const HttpAnswer answer, call(request));
  return parse(answer.body);
}

Result<> Api::watch(
    HttpRound& round, const std::string& target, std::string_view accept,
    const std::function<bool(std::string_view type, const Json& object)>& on_event) const {
  HttpCall request;
  request.target = target;
  request.accept = accept;
  std::string buffered;
  Result<> outcome;
  const auto on_line = [&](std::string_view line) {
    const auto event = objects::parse_json(line);
    if (!event) {
      outcome = std::unexpected(event.error());
      return false;
    }
    const std::string_view type = objects::find_string(event->value, {"type"});
    const Json* object = objects::find(event->value, {"object"});
    if (object == nullptr) return true;
    if (type == "ERROR") {
      const auto status = static_cast<int>(objects::find_int(*object, {"code"}, 500));
      outcome = std::unexpected(error_of({status, objects::canonical_json(*object), {}}));
      return false;
    }
    return type == "BOOKMARK" || on_event(type, *object);
  };
  BERTH_TRY(const HttpAnswer answer, round.stream(request, [&](std::string_view bytes) {
    buffered += bytes;
    size_t begin = 0;
    for (size_t end = 0; (end = buffered.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (!on_line(std::string_view(buffered).substr(begin, end - begin))) return false;
    }
    buffered.erase(0, begin);
    return true;
  }));
  if (answer.status != 0 && answer.status / 100 != 2) return std::unexpected(error_of(answer));
  return outcome;
}

}  // namespace berth::cli
