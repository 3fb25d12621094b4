#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "client/api_client.h"

namespace berth::client {

/// Blocking calls, for commands and tests. Never used from a callback of the client or from an
/// event loop: they would wait for themselves.
class SyncClient {
 public:
  /// `client` outlives this. A call that takes longer than `timeout` fails with kTimeout.
  explicit SyncClient(ApiClient& client, Duration timeout = Duration::seconds(30))
      : client_(client), timeout_(timeout) {}

  Result<SharedJson> get(Target target);
  Result<List> list(Target collection, ListOptions options = {});
  Result<SharedJson> create(Target target, Json object, WriteOptions options = {});
  Result<SharedJson> update(Target target, Json object, WriteOptions options = {});
  Result<SharedJson> patch(Target target, PatchType type, Json patch, WriteOptions options = {});
  Result<SharedJson> remove(Target target, DeleteOptions options = {});

 private:
  ApiClient& client_;
  Duration timeout_;
};

}  // namespace berth::client
