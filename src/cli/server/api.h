#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/server/endpoint.h"
#include "cli/server/http.h"
#include "objects/json.h"
#include "objects/schema.h"

namespace berth::cli {

/// The media type by which a server prints objects as a table.
inline constexpr std::string_view kAsTable =
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
inline constexpr std::string_view kMergePatch = "application/merge-patch+json";

/// A Kubernetes API as the commands use it: one request after the other, and each answer whole or
/// an Error with what the server said. The server's warnings go to stderr.
class Api {
 public:
  /// Finds the server; asks it nothing yet.
  static Result<Api> open(const Globals& globals);
  explicit Api(Endpoint endpoint);

  const Endpoint& endpoint() const { return endpoint_; }
  const std::string& ns() const { return endpoint_.connection.ns; }
  const objects::Registry& registry() const { return *registry_; }

  /// The path of a collection, object or subresource. An empty `ns` means all namespaces.
  static std::string path(const objects::Kind& kind, std::string_view ns,
                          std::string_view name = {}, std::string_view subresource = {});
  /// By plural; the kind must be built in.
  const objects::Kind& kind(std::string_view group, std::string_view plural) const;

  Result<Json> get(const std::string& target, std::string_view accept = "application/json") const;
  /// Nothing where there is no such object.
  Result<std::optional<Json>> find(const std::string& target) const;
  /// The items of a collection; `query` has selectors and the like.
  Result<std::vector<Json>> list(const objects::Kind& kind, std::string_view ns,
                                 const std::string& query = {}) const;
  Result<Json> create(const std::string& target, const Json& object) const;
  Result<Json> patch(const std::string& target, const Json& change,
                     std::string_view type = kMergePatch) const;
  Result<Json> remove(const std::string& target, const Json& options) const;

  Result<HttpAnswer> call(const HttpCall& call) const;
  /// Each event of a watch, until it ends or `on_event` answers false.
  Result<> watch(
      HttpRound& round, const std::string& target, std::string_view accept,
      const std::function<bool(std::string_view type, const Json& object)>& on_event) const;

 private:
  Endpoint endpoint_;
  std::shared_ptr<HttpRound> round_;
  std::shared_ptr<const objects::Registry> registry_;
};

/// `a=b&c=d` with the values escaped; pairs with an empty value are left out.
std::string query(const std::vector<std::pair<std::string_view, std::string>>& parameters);
std::string escape(std::string_view text);

/// What an answer that is not 2xx says, with every cause.
Error error_of(const HttpAnswer& answer);

}  // namespace berth::cli
