#pragma once

#include <memory>

#include "apiserver/api/objects_api.h"
#include "client/api_client.h"

namespace berth::apiserver {

/// Calls the API without HTTP, as the administrator. Callbacks come on the store's event loop; the
/// objects in them are shared with everybody who sees the same version.
class InProcessClient final : public client::ApiClient {
 public:
  /// `api` outlives this.
  explicit InProcessClient(ObjectsApi& api) : api_(api) {}

  void get(client::Target target, OnObject done) override;
  void list(client::Target collection, client::ListOptions options, OnList done) override;
  void create(client::Target target, Json object, client::WriteOptions options,
              OnObject done) override;
  void update(client::Target target, Json object, client::WriteOptions options,
              OnObject done) override;
  void patch(client::Target target, client::PatchType type, Json patch,
             client::WriteOptions options, OnObject done) override;
  void remove(client::Target target, client::DeleteOptions options, OnObject done) override;
  std::unique_ptr<client::Watch> watch(client::Target collection, client::WatchOptions options,
                                       OnEvent on_event, OnEnd on_end) override;

 private:
  Result<Subject> subject_of(const client::Target& target) const;
  /// Runs later, on the event loop: a callback never runs inside the call that asked for it.
  template <class Callback, class Value>
  void later(Callback done, Value value);

  ObjectsApi& api_;
};

}  // namespace berth::apiserver
