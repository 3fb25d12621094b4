#include "client/sync_client.h"

#include <chrono>
#include <future>
#include <memory>
#include <utility>

namespace berth::client {
namespace {

/// Runs one asynchronous call. The promise is shared: after a timeout the answer may still come.
template <class T, class Call>
Result<T> wait_for(Duration timeout, const Call& call) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  std::future<Result<T>> answer = promise->get_future();
  call([promise](Result<T> value) { promise->set_value(std::move(value)); });
  if (answer.wait_for(std::chrono::nanoseconds(timeout.ns)) != std::future_status::ready) {
    return fail(ErrorCode::kTimeout, "the API server did not answer in " + format_duration(timeout),
                {}, "check that it runs; a write may have happened nevertheless");
  }
  return answer.get();
}

}  // namespace

Result<SharedJson> SyncClient::get(Target target) {
  return wait_for<SharedJson>(timeout_,
                              [&](auto done) { client_.get(std::move(target), std::move(done)); });
}

Result<List> SyncClient::list(Target collection, ListOptions options) {
  return wait_for<List>(timeout_, [&](auto done) {
    client_.list(std::move(collection), std::move(options), std::move(done));
  });
}

Result<SharedJson> SyncClient::create(Target target, Json object, WriteOptions options) {
  return wait_for<SharedJson>(timeout_, [&](auto done) {
    client_.create(std::move(target), std::move(object), std::move(options), std::move(done));
  });
}

Result<SharedJson> SyncClient::update(Target target, Json object, WriteOptions options) {
  return wait_for<SharedJson>(timeout_, [&](auto done) {
    client_.update(std::move(target), std::move(object), std::move(options), std::move(done));
  });
}

Result<SharedJson> SyncClient::patch(Target target, PatchType type, Json patch,
                                     WriteOptions options) {
  return wait_for<SharedJson>(timeout_, [&](auto done) {
    client_.patch(std::move(target), type, std::move(patch), std::move(options), std::move(done));
  });
}

Result<SharedJson> SyncClient::remove(Target target, DeleteOptions options) {
  return wait_for<SharedJson>(timeout_, [&](auto done) {
    client_.remove(std::move(target), std::move(options), std::move(done));
  });
}

}  // namespace berth::client
