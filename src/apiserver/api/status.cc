#include "apiserver/api/status.h"

#include <fmt/format.h>

namespace berth::apiserver {
namespace {

std::unexpected<Status> about(const objects::Kind& kind, std::string_view name, int code,
                              std::string reason, std::string message) {
  Status status = Status::of(code, std::move(reason), std::move(message));
  status.kind = kind.plural;
  status.group = kind.group;
  status.name = name;
  return std::unexpected(std::move(status));
}

std::unexpected<Status> plain(int code, std::string reason, std::string message) {
  return std::unexpected(Status::of(code, std::move(reason), std::move(message)));
}

std::string join(const objects::Issues& issues) {
  std::string text;
  for (const objects::Issue& issue : issues) {
    if (!text.empty()) text += ", ";
    text += issue.to_string();
  }
  return issues.size() > 1 ? "[" + text + "]" : text;
}

std::vector<Status::Cause> causes_of(const objects::Issues& issues) {
  std::vector<Status::Cause> causes;
  for (const objects::Issue& issue : issues) {
    std::string message = issue.what;
    if (!issue.fix.empty()) message += "; " + issue.fix;
    causes.push_back({std::string(objects::cause_reason(issue.kind)), message, issue.path});
  }
  return causes;
}

}  // namespace

Status Status::of(int code, std::string reason, std::string message) {
  Status status;
  status.code = code;
  status.reason = std::move(reason);
  status.message = std::move(message);
  return status;
}

Json Status::to_json() const {
  JsonObject body{{"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", JsonObject()},
                  {"status", "Failure"}, {"message", message}, {"reason", reason},
                  {"code", code}};
  JsonObject details;
  if (!name.empty()) details["name"] = name;
  if (!group.empty()) details["group"] = group;
  if (!kind.empty()) details["kind"] = kind;
  if (!causes.empty()) {
    JsonArray list;
    for (const Cause& cause : causes) {
      JsonObject entry;
      if (!cause.reason.empty()) entry["reason"] = cause.reason;
      entry["message"] = cause.message;
      if (!cause.field.empty()) entry["field"] = cause.field;
      list.emplace_back(std::move(entry));
    }
    details["causes"] = std::move(list);
  }
  if (retry_after_s > 0) details["retryAfterSeconds"] = retry_after_s;
  if (!details.empty()) body["details"] = std::move(details);
  return body;
}

std::string qualified_plural(const objects::Kind& kind) {
  return kind.group.empty() ? std::string(kind.plural)
                            : fmt::format("{}.{}", kind.plural, kind.group);
}

std::unexpected<Status> bad_request(std::string message) {
  return plain(400, "BadRequest", std::move(message));
}

std::unexpected<Status> not_found(const objects::Kind& kind, std::string_view name) {
  return about(kind, name, 404, "NotFound",
               fmt::format("{} \"{}\" not found", qualified_plural(kind), name));
}

std::unexpected<Status> already_exists(const objects::Kind& kind, std::string_view name) {
  return about(kind, name, 409, "AlreadyExists",
               fmt::format("{} \"{}\" already exists", qualified_plural(kind), name));
}

std::unexpected<Status> conflict(const objects::Kind& kind, std::string_view name,
                                 std::string_view why) {
  return about(kind, name, 409, "Conflict",
               fmt::format("Operation cannot be fulfilled on {} \"{}\": {}", qualified_plural(kind),
                           name, why));
}

std::unexpected<Status> forbidden(const objects::Kind& kind, std::string_view name,
                                  std::string_view why) {
  return about(kind, name, 403, "Forbidden",
               fmt::format("{} \"{}\" is forbidden: {}", qualified_plural(kind), name, why));
}

std::unexpected<Status> expired(std::string message) {
  return plain(410, "Expired", std::move(message));
}

std::unexpected<Status> too_many_requests(std::string message, int retry_after_s) {
  auto failed = plain(429, "TooManyRequests", std::move(message));
  failed.error().retry_after_s = retry_after_s;
  return failed;
}

std::unexpected<Status> method_not_allowed(std::string_view method) {
  return plain(405, "MethodNotAllowed",
               fmt::format("the server does not allow {} on this resource", method));
}

std::unexpected<Status> unsupported_media_type(std::string message) {
  return plain(415, "UnsupportedMediaType", std::move(message));
}

std::unexpected<Status> invalid(const objects::Kind& kind, std::string_view name,
                                const objects::Issues& issues) {
  const std::string qualified =
      kind.group.empty() ? std::string(kind.kind) : fmt::format("{}.{}", kind.kind, kind.group);
  auto failed = about(kind, name, 422, "Invalid",
                      fmt::format("{} \"{}\" is invalid: {}", qualified, name, join(issues)));
  failed.error().kind = kind.kind;
  failed.error().causes = causes_of(issues);
  return failed;
}

std::unexpected<Status> undecodable(const objects::Kind& kind, const objects::Issues& issues) {
  // kubectl shows what follows "strict decoding error: " as the user's mistakes.
  auto failed = bad_request(
      fmt::format("{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
                  kind.kind, kind.version, kind.kind, join(issues)));
  failed.error().causes = causes_of(issues);
  return failed;
}

std::unexpected<Status> from_error(const Error& error) {
  const std::string text = error.to_string();
  switch (error.code) {
    case ErrorCode::kInvalid:
      return bad_request(text);
    case ErrorCode::kNotFound:
      return plain(404, "NotFound", text);
    case ErrorCode::kAlreadyExists:
      return plain(409, "AlreadyExists", text);
    case ErrorCode::kConflict:
      return plain(409, "Conflict", text);
    case ErrorCode::kUnauthorized:
      return plain(401, "Unauthorized", text);
    case ErrorCode::kForbidden:
      return plain(403, "Forbidden", text);
    case ErrorCode::kGone:
      return expired(text);
    case ErrorCode::kTooManyRequests:
      return too_many_requests(text, 1);
    case ErrorCode::kUnsupported:
      return plain(501, "NotImplemented", text);
    case ErrorCode::kTimeout:
      return plain(504, "Timeout", text);
    case ErrorCode::kUnavailable:
      return plain(503, "ServiceUnavailable", text);
    case ErrorCode::kInternal:
      break;
  }
  return plain(500, "InternalError", text);
}

Json success_status(const objects::Kind& kind, std::string_view name, std::string_view uid,
                    int code) {
  JsonObject details{{"name", name}, {"kind", kind.plural}};
  if (!kind.group.empty()) details["group"] = kind.group;
  if (!uid.empty()) details["uid"] = uid;
  JsonObject body{{"kind", "Status"},
                  {"apiVersion", "v1"},
                  {"metadata", JsonObject()},
                  {"status", "Success"},
                  {"details", std::move(details)}};
  if (code == 201) body["code"] = 201;
  return body;
}

}  // namespace berth::apiserver
