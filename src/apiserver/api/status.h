#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "objects/json.h"
#include "objects/schema.h"
#include "objects/validate.h"

namespace berth::apiserver {

/// What a request is answered with when it does not succeed: Kubernetes' `Status`.
struct Status {
  struct Cause {
    std::string reason;
    std::string message;
    std::string field;
  };

  int code = 500;
  std::string reason;  ///< "NotFound"
  std::string message;
  std::string kind;  ///< of what it is about: the plural, as kube-apiserver has it
  std::string group;
  std::string name;
  std::vector<Cause> causes;
  int retry_after_s = 0;

  /// About nothing in particular.
  static Status of(int code, std::string reason, std::string message);

  Json to_json() const;
};

template <class T = void>
using Answer = std::expected<T, Status>;

/// What the messages of errors call a kind's objects: `pods "a"`, `deployments.apps "a"`.
std::string qualified_plural(const objects::Kind& kind);

std::unexpected<Status> bad_request(std::string message);
std::unexpected<Status> not_found(const objects::Kind& kind, std::string_view name);
std::unexpected<Status> already_exists(const objects::Kind& kind, std::string_view name);
std::unexpected<Status> conflict(const objects::Kind& kind, std::string_view name,
                                 std::string_view why);
std::unexpected<Status> forbidden(const objects::Kind& kind, std::string_view name,
                                  std::string_view why);
std::unexpected<Status> expired(std::string message);
std::unexpected<Status> too_many_requests(std::string message, int retry_after_s);
std::unexpected<Status> method_not_allowed(std::string_view method);
std::unexpected<Status> unsupported_media_type(std::string message);
/// 422, with a cause for each issue.
std::unexpected<Status> invalid(const objects::Kind& kind, std::string_view name,
                                const objects::Issues& issues);
/// 400 for what could not even be decoded.
std::unexpected<Status> undecodable(const objects::Kind& kind, const objects::Issues& issues);
/// What an Error of the store or of a provider is to a client.
std::unexpected<Status> from_error(const Error& error);

/// The Status of a success, as deletions and bindings are answered.
Json success_status(const objects::Kind& kind, std::string_view name, std::string_view uid,
                    int code = 200);

}  // namespace berth::apiserver
