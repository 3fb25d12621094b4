#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "apiserver/api/objects_api.h"
#include "client/api_client.h"

namespace berth::apiserver {

/// Calls the API without HTTP, as the administrator. Callbacks come on the store's event loop; the
/// objects in them are shared with everybody who sees the same version.
class InProcessClient final : public client::ApiClient {
 public:
  /// `api` outlives this.
  explicit InProcessClient(ObjectsApi& api) : api_(api) {}

  /// Ends all watches with kUnavailable; calls made later fail so as well.
  void stop();

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
  struct OpenWatch;
  class InProcessWatch;

  Result<Subject> subject_of(const client::Target& target) const;
  bool stopped() const;
  /// Runs later, on the event loop: a callback does not run inside the call that asked for it,
  /// while there is a loop.
  template <class Callback, class Value>
  void later(Callback done, Value value);

  ObjectsApi& api_;
  mutable std::mutex mutex_;
  bool stopped_ = false;                           ///< guarded by mutex_
  std::vector<std::weak_ptr<OpenWatch>> watches_;  ///< guarded by mutex_
};

}  // namespace berth::apiserver
