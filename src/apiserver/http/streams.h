#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "apiserver/api/objects_api.h"
#include "apiserver/http/negotiation.h"
#include "apiserver/providers.h"
#include "base/time.h"
#include "platform/http/server.h"

namespace berth::apiserver {

/// Answers that go on: watches and logs. Each lives until its client leaves, its time is over or
/// the server stops.
class Streams {
 public:
  class Stream {
   public:
    virtual ~Stream() = default;
    virtual void stop() = 0;
  };

  explicit Streams(ObjectsApi& api) : api_(api) {}

  struct WatchOptions {
    ObjectsApi::WatchRequest request;
    bool bookmarks = false;
    Duration timeout;
  };
  void watch(const std::shared_ptr<platform::HttpExchange>& exchange, const Subject& subject,
             const WatchOptions& options, const Presenter& presenter);
  void log(std::shared_ptr<platform::HttpExchange> exchange, LogSource& source, LogRequest request);

  void stop_all();

 private:
  friend class WatchStream;
  friend class LogStreamToHttp;
  void add(const std::shared_ptr<Stream>& stream);
  void drop(const std::shared_ptr<Stream>& stream);

  ObjectsApi& api_;
  std::mutex mutex_;
  std::set<std::shared_ptr<Stream>> open_;
};

}  // namespace berth::apiserver
