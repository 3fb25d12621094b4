#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/api_client.h"
#include "client/gate.h"
#include "platform/event_loop.h"

namespace berth::bridge {

/// Every change of a collection, also those that came while nobody watched: it goes on from the
/// resource version up to which somebody has kept them. Where that history is gone it lists.
///
/// Made, used and destroyed on the loop's thread; handlers run there. The client and the loop
/// outlive it.
class ResumedWatch {
 public:
  struct Handlers {
    /// Everything there is, in place of changes.
    std::function<void(const client::List& all)> listed;
    std::function<void(const SharedJson& object, bool gone)> changed;
    std::function<void(const Error& error)> failed;  ///< tried again in a second
  };

  ResumedWatch(client::ApiClient& client, platform::EventLoop& loop, client::Resource resource,
               Handlers handlers);
  ~ResumedWatch();

  /// `cursor`: a resource version, or empty to begin with a list.
  void start(std::string cursor);
  /// Of the last change that was handed out.
  const std::string& cursor() const { return cursor_; }

 private:
  void list();
  void watch();
  void again(const Error& why);
  /// For the loop; nothing once this is gone or began anew.
  std::function<void()> in_turn(std::function<void()> work) const;

  client::ApiClient& client_;
  platform::EventLoop& loop_;
  const client::Target collection_;
  const Handlers handlers_;
  std::string cursor_;
  std::shared_ptr<int> attempt_;
  std::shared_ptr<client::Gate> gate_ = std::make_shared<client::Gate>();
  std::unique_ptr<client::Watch> watch_;
  platform::EventLoop::TimerId timer_ = 0;
};

}  // namespace berth::bridge
