#pragma once

#include <functional>
#include <memory>
#include <string>

#include "client/api_client.h"
#include "client/connection.h"
#include "platform/http/client.h"

namespace berth::client {

/// Any Kubernetes API server, over HTTPS or a local socket. Callbacks come on a thread of the
/// client's own. Watches do not outlive it.
class HttpsClient final : public ApiClient {
 public:
  static Result<std::unique_ptr<HttpsClient>> create(Connection connection);

  void get(Target target, OnObject done) override;
  void list(Target collection, ListOptions options, OnList done) override;
  void create(Target target, Json object, WriteOptions options, OnObject done) override;
  void update(Target target, Json object, WriteOptions options, OnObject done) override;
  void patch(Target target, PatchType type, Json patch, WriteOptions options,
             OnObject done) override;
  void remove(Target target, DeleteOptions options, OnObject done) override;
  std::unique_ptr<Watch> watch(Target collection, WatchOptions options, OnEvent on_event,
                               OnEnd on_end) override;

  /// What is no object: `/version`, `/metrics`, tables with an `Accept` of their own, Berth's own
  /// paths. Fails only where there is no answer, whatever its status.
  void raw(platform::HttpRequest request, std::function<void(Result<platform::HttpResponse>)> done);

  struct LogOptions {
    std::string container;
    bool follow = false;
    bool previous = false;
    bool timestamps = false;
    int64_t tail_lines = -1;  ///< negative: all
    int64_t since_seconds = 0;
  };
  /// A container's log; `on_bytes` and then `on_end` come on the client's thread.
  std::unique_ptr<Watch> log(Target pod, const LogOptions& options,
                             std::function<void(std::string_view bytes)> on_bytes, OnEnd on_end);

  const Connection& connection() const { return connection_; }

 private:
  HttpsClient(Connection connection, std::unique_ptr<platform::HttpClient> http)
      : connection_(std::move(connection)), http_(std::move(http)) {}

  platform::HttpRequest make_request(std::string method, std::string target) const;
  void send(std::string method, std::string target, std::string content_type, std::string body,
            OnObject done);

  const Connection connection_;
  const std::unique_ptr<platform::HttpClient> http_;
};

}  // namespace berth::client
