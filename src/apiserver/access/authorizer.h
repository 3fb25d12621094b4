#pragma once

#include <string>
#include <utility>
#include <vector>

#include "apiserver/api/request.h"
#include "apiserver/storage/store.h"

namespace berth::apiserver {

/// What somebody wants to do. Either a resource or a path.
struct Attempt {
  std::string verb;
  std::string group;
  std::string resource;
  std::string subresource;
  std::string ns;
  std::string name;
  std::string path;
};

/// Role based access control, as rbac.authorization.k8s.io: everything is forbidden but what a
/// binding allows. Administrators may do everything.
class Authorizer {
 public:
  explicit Authorizer(const Store& store) : store_(store) {}

  bool allows(const Caller& caller, const Attempt& attempt) const;

  /// The roles and bindings that the first start makes.
  static std::vector<std::pair<StoreKey, Json>> initial_objects();

 private:
  bool binding_allows(const Json& binding, const std::string& ns, const Caller& caller,
                      const Attempt& attempt) const;

  const Store& store_;
};

}  // namespace berth::apiserver
