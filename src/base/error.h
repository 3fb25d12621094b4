#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace berth {

/// What kind of thing went wrong, independent of who reports it. The API server maps each to a
/// Kubernetes Status reason, the CLI to an exit code.
enum class ErrorCode {
  kInvalid,          ///< the input is wrong (HTTP 422 or 400; CLI exit code 2)
  kNotFound,         ///< 404
  kAlreadyExists,    ///< 409 AlreadyExists
  kConflict,         ///< 409 Conflict: somebody else changed it first
  kUnauthorized,     ///< 401
  kForbidden,        ///< 403
  kGone,             ///< 410: the history asked for is no longer kept
  kTooManyRequests,  ///< 429
  kUnsupported,      ///< the request is well-formed, but not for this build or this host
  kTimeout,          ///< no answer in time; what became of the request is not known
  kUnavailable,      ///< cannot be served now, try again
  kInternal,         ///< a fault of Berth or of the machine
};

std::string_view to_string(ErrorCode code);

/// An error in operation: what happened, where, and what to do about it.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string what;   ///< one clause without a full stop: "unknown field `meta`"
  std::string where;  ///< file:line:column, an object path or a file; may be empty
  std::string fix;    ///< what the user can do: "did you mean `metadata`?"; may be empty

  /// `where: what; fix`, without the parts that are empty.
  std::string to_string() const;

  bool operator==(const Error&) const = default;
};

template <class T = void>
using Result = std::expected<T, Error>;

/// Makes the failed side of any Result: `return fail(ErrorCode::kNotFound, "no such image", name);`
inline std::unexpected<Error> fail(ErrorCode code, std::string what, std::string where = {},
                                   std::string fix = {}) {
  return std::unexpected(Error{code, std::move(what), std::move(where), std::move(fix)});
}

}  // namespace berth

#define BERTH_CONCAT_INNER(a, b) a##b
#define BERTH_CONCAT(a, b) BERTH_CONCAT_INNER(a, b)

/// `BERTH_TRY(auto x, expression);` binds a Result's value, or returns its error.
#define BERTH_TRY(declaration, expression)                                      \
  auto BERTH_CONCAT(result_, __LINE__) = (expression);                          \
  if (!BERTH_CONCAT(result_, __LINE__))                                         \
    return std::unexpected(std::move(BERTH_CONCAT(result_, __LINE__)).error()); \
  declaration = *std::move(BERTH_CONCAT(result_, __LINE__))  // NOLINT(bugprone-macro-parentheses)

/// The same for a Result<void>.
#define BERTH_CHECK(expression)                        \
  if (auto berth_result = (expression); !berth_result) \
  return std::unexpected(std::move(berth_result).error())
