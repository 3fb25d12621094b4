#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bridge/object_events.h"
#include "bridge/pod_events.h"
#include "client/informer.h"
#include "core/model/event.h"

namespace berth::bridge {

/// The objects that decisions depend on, kept current by informers and told as events: only what
/// changed for the core, and nothing before everything was seen once (nodes before the pods on
/// them). Lives on the loop's thread.
class ClusterView {
 public:
  struct Options {
    client::ApiClient& client;
    platform::EventLoop& loop;
    QueueDefaults queue_defaults;
    bool default_scheduler = true;
  };
  struct Handlers {
    std::function<void(core::Event)> event;
    std::function<void()> synced;  ///< after the first events
    std::function<void(const PodRef& pod, const std::string& why)> refused;
    std::function<void(const std::string& task)> gone;
    std::function<void(const std::string& text)> trouble;
  };

  ClusterView(const Options& options, Handlers handlers);
  ~ClusterView();

  void start();
  bool synced() const { return synced_; }
  /// The pod of a task, as it was last seen; nothing when it is gone.
  std::optional<PodRef> pod(const std::string& task) const;
  /// The same, whole; null when it is gone.
  SharedJson object(const std::string& task) const;
  /// Why the pod cannot be scheduled as it is written; empty where it can.
  std::string refused(const std::string& task) const;
  /// A task is told to stop: what its controller makes in its place keeps its age.
  void keep_age(const std::string& task);
  /// Tells the queues that change by it.
  void set_queue_defaults(const QueueDefaults& defaults);

 private:
  enum Kind : size_t {
    kNode,
    kQueue,
    kNamespace,
    kPriorityClass,
    kPodGroup,
    kDisruptionBudget,
    kPod,
    kKinds
  };
  struct Group {
    std::map<std::string, std::pair<int32_t, std::string>> pods;  ///< task → priority, queue
    std::optional<core::GangUpsert> told;
  };

  void watch(Kind kind, const client::Resource& resource, bool optional);
  void seen(Kind kind);
  void on_change(Kind kind, const SharedJson& object, bool gone);
  void load();
  void recover();

  void on_node(const Json& node, bool gone);
  void on_queue(const Json& queue, bool gone);
  void on_group(const Json& group, bool gone);
  void on_disruption_budget(const Json& budget, bool gone);
  void on_pod(const Json& pod, bool gone);
  void drop_task(const std::string& name, bool completed = false);
  void tell_group(const std::string& gang);
  void read_all_pods();
  void recall_durations(const std::string& queue, const Json& json);
  void ensure_default_queue();
  std::string queue_of_namespace(std::string_view ns) const;
  int32_t priority_of(std::string_view priority_class) const;
  void join_group(const std::string& task, const std::string& gang, int32_t priority,
                  const std::string& queue);
  void leave_group(const std::string& task);

  Options options_;
  Handlers handlers_;
  std::vector<std::unique_ptr<client::Informer>> informers_;
  std::set<size_t> unseen_;
  bool synced_ = false;

  std::map<std::string, core::NodeUpsert> nodes_;
  std::map<std::string, std::set<std::string>> named_;  ///< node → resources it names
  std::set<std::string, std::less<>> device_resources_;
  std::map<std::string, core::QueueUpsert> queues_;
  std::map<std::string, core::DisruptionBudgetUpsert> disruption_budgets_;
  std::map<std::string, Group> groups_;          ///< by gang
  std::map<std::string, std::string> group_of_;  ///< task → gang
  std::map<std::string, core::TaskUpsert> tasks_;
  std::map<std::string, std::string> refused_;
  std::map<std::string, Time> ages_;  ///< by uid of the controller
  std::vector<std::string> age_order_;
};

}  // namespace berth::bridge
