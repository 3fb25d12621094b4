#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apiserver/api/status.h"
#include "base/time.h"
#include "client/api_client.h"
#include "objects/json.h"
#include "objects/schema.h"
#include "objects/validate.h"

namespace berth::apiserver {

/// Who asks.
struct Caller {
  std::string user;
  std::vector<std::string> groups;
  bool admin = false;
  /// The user id of this machine, where the kernel vouches for it.
  std::optional<uint32_t> uid;
};

/// What a request is about. The kind is served by this server; the namespace is empty for
/// cluster-scoped kinds and for all namespaces.
struct Subject {
  const objects::Kind* kind = nullptr;
  std::string ns;
  std::string name;
  std::string subresource;
};

struct WriteContext {
  Caller caller;
  bool dry_run = false;
  objects::FieldValidation validation = objects::FieldValidation::kWarn;
};

/// A written object, or a Status of success, with what the client should be warned of.
struct Written {
  SharedJson object;
  bool created = false;
  std::vector<std::string> warnings;
};

struct Deletion {
  std::optional<int64_t> grace_s;
  std::string propagation;  ///< empty: the kind's own
  std::string uid;          ///< preconditions, where not empty
  std::string resource_version;
  bool dry_run = false;
};

}  // namespace berth::apiserver
