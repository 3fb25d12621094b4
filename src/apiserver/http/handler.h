#pragma once

#include <memory>
#include <set>
#include <shared_mutex>
#include <string>

#include "apiserver/access/authorizer.h"
#include "apiserver/access/identity.h"
#include "apiserver/api/objects_api.h"
#include "apiserver/http/api_path.h"
#include "apiserver/http/negotiation.h"
#include "apiserver/http/streams.h"
#include "apiserver/providers.h"
#include "platform/http/server.h"

namespace berth::apiserver {

/// One HTTP request on its way: who asks, where, and how to answer.
struct Call {
  std::shared_ptr<platform::HttpExchange> exchange;
  Address address;
  Caller caller;
  Form form = Form::kObject;

  const platform::HttpRequest& request() const { return exchange->request(); }
  void answer(platform::HttpResponse response) const { exchange->send(std::move(response)); }
  void refuse(const Status& status) const { exchange->send(status_response(status)); }
};
using CallPtr = std::shared_ptr<const Call>;

/// Answers every HTTP request: 1. who is it; 2. what is asked; 3. may they; 4. do it.
class Handler {
 public:
  struct Parts {
    ObjectsApi& api;
    Identity& identity;
    Authorizer& authorizer;
    Streams& streams;
  };

  explicit Handler(Parts parts) : parts_(parts) {}

  void handle(std::shared_ptr<platform::HttpExchange> exchange);

  /// The server's own "127.0.0.1:6443", for discovery.
  void set_address(std::string address) { address_ = std::move(address); }
  void set_providers(const Providers& providers);

 private:
  Providers providers() const;

  // Not about stored objects; true when the path was one of these.
  bool handle_path(const CallPtr& call);
  void discovery(const CallPtr& call, bool core);
  void openapi(const CallPtr& call);
  void metrics(const CallPtr& call);
  void explain(const CallPtr& call);
  void cost(const CallPtr& call);
  void demand(const CallPtr& call);
  void users(const CallPtr& call);
  void review_own_access(const CallPtr& call);
  void usage(const CallPtr& call, const ResourcePath& path, const objects::Kind& kind);

  void handle_resource(const CallPtr& call, const ResourcePath& path);
  void read(const CallPtr& call, const Subject& subject);
  void list(const CallPtr& call, const Subject& subject);
  void write(const CallPtr& call, const Subject& subject);
  void patch(const CallPtr& call, const Subject& subject, const WriteContext& context);
  void remove(const CallPtr& call, const Subject& subject);
  void log(const CallPtr& call, const Subject& subject);
  ObjectsApi::Done written(const CallPtr& call, const Subject& subject) const;

  const Parts parts_;
  std::string address_;
  mutable std::shared_mutex mutex_;
  Providers providers_;
};

}  // namespace berth::apiserver
