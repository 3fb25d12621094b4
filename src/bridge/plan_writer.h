#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bridge/api_calls.h"
#include "bridge/pod_events.h"
#include "control/control.h"

namespace berth::bridge {

/// Carries plans out as writes to the API, and tells control what became of them.
///
/// A gang's intent is durable before the first of its bindings is sent. Bindings carry the chosen
/// devices in an annotation, so that pod, node and devices are written as one. What fails goes back
/// to control, which decides anew; an eviction that a disruption budget refuses is tried again for
/// as long as its claim lives.
///
/// Lives on the loop's thread.
class PlanWriter : public control::Executor {
 public:
  struct Context {
    client::ApiClient& client;
    platform::EventLoop& loop;
    const Clock& clock;
    /// The pod of a task; nothing when it is no longer there.
    std::function<std::optional<PodRef>(const std::string& task)> pod;
    /// What the binding's annotation says of the devices: their ids and the share of each.
    std::function<Json(const core::PlaceSpec& place)> devices;
    std::function<void(core::Event)> add;
  };

  explicit PlanWriter(Context context) : context_(std::move(context)), to_loop_(context_.loop) {}

  void execute(const core::Plan& plan) override;
  /// Why the eviction of a task is delayed; empty where it is not.
  std::string delayed(const std::string& task) const;
  /// The task is gone: what is remembered of it can go.
  void forget(const std::string& task) { delayed_.erase(task); }

  uint64_t binds() const { return binds_; }
  uint64_t evictions() const { return evictions_; }
  uint64_t failures() const { return failures_; }

 private:
  void bind_gang(const core::PersistIntent& intent, std::vector<core::Bind> binds);
  void bind(const core::Bind& bind);
  void bound(const core::Bind& bind, const PodRef& pod, const Result<SharedJson>& answer);
  void unbound(const std::string& task, const Error& why);
  void evict(const core::Evict& evict);
  void send_eviction(const core::Evict& evict, const PodRef& pod, int attempt);
  void annotate(const std::string& gang, std::string_view key, const std::string& text);

  Context context_;
  std::map<std::string, std::string> delayed_;
  uint64_t binds_ = 0;
  uint64_t evictions_ = 0;
  uint64_t failures_ = 0;
  ToLoop to_loop_;  // last: closed first
};

}  // namespace berth::bridge
