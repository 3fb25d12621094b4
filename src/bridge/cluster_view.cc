#include "bridge/cluster_view.h"

#include <algorithm>

#include "bridge/api_calls.h"
#include "bridge/keys.h"
#include "bridge/object_events.h"
#include "bridge/pod_task.h"

namespace berth::bridge {
namespace {

using objects::find_array;
using objects::find_string;

constexpr size_t kAgesKept = 10'000;
constexpr std::string_view kDefaultQueue = "default";

std::string controller_uid(const Json& pod) {
  for (const Json& owner : find_array(pod, {"metadata", "ownerReferences"}))
    if (objects::find_bool(owner, {"controller"})) return std::string(find_string(owner, {"uid"}));
  return {};
}

std::pair<std::string, std::string> split_task(const std::string& task) {
  const size_t slash = task.find('/');
  return {task.substr(0, slash), slash == std::string::npos ? "" : task.substr(slash + 1)};
}

}  // namespace

ClusterView::ClusterView(const Options& options, Handlers handlers)
    : options_(options), handlers_(std::move(handlers)), informers_(kKinds) {
  watch(kNode, kNodes, false);
  watch(kQueue, kQueues, true);
  watch(kNamespace, kNamespaces, false);
  watch(kPriorityClass, kPriorityClasses, true);
  watch(kPodGroup, kPodGroups, true);
  watch(kDisruptionBudget, kDisruptionBudgets, true);
  watch(kPod, kPods, false);
}

ClusterView::~ClusterView() = default;

void ClusterView::watch(Kind kind, const client::Resource& resource, bool optional) {
  unseen_.insert(kind);
  client::Informer::Handlers handlers;
  handlers.added = [this, kind](const SharedJson& object) { on_change(kind, object, false); };
  handlers.updated = [this, kind](const SharedJson&, const SharedJson& object) {
    on_change(kind, object, false);
  };
  handlers.deleted = [this, kind](const SharedJson& object) { on_change(kind, object, true); };
  handlers.synced = [this, kind] { seen(kind); };
  handlers.failed = [this, kind, optional, plural = resource.plural](const Error& error) {
    // A cluster need not have every kind; when it gets one, the informer sees it.
    if (optional && error.code == ErrorCode::kNotFound) return seen(kind);
    handlers_.trouble("cannot watch " + plural + ": " + error.to_string());
  };
  informers_[kind] = std::make_unique<client::Informer>(
      options_.client, options_.loop,
      client::Informer::Options{
          .collection = {resource, "", "", ""}, .label_selector = {}, .field_selector = {}},
      std::move(handlers));
}

void ClusterView::start() {
  for (const auto& informer : informers_) informer->start();
}

void ClusterView::seen(Kind kind) {
  if (unseen_.erase(kind) == 0 || !unseen_.empty()) return;
  load();
  synced_ = true;
  handlers_.synced();
}

void ClusterView::load() {
  for (const auto& [key, node] : informers_[kNode]->objects()) on_node(*node, false);
  for (const auto& [key, queue] : informers_[kQueue]->objects()) on_queue(*queue, false);
  ensure_default_queue();
  for (const auto& [key, group] : informers_[kPodGroup]->objects()) on_group(*group, false);
  for (const auto& [key, budget] : informers_[kDisruptionBudget]->objects())
    on_disruption_budget(*budget, false);
  for (const auto& [key, pod] : informers_[kPod]->objects()) on_pod(*pod, false);
  recover();
}

/// What an earlier process left half done is remembered in objects.
void ClusterView::recover() {
  core::PlanCommit remembered;
  const auto read = [&](const Json& object, const std::string& gang) {
    for (core::Action& action : read_memory(object, gang))
      remembered.actions.push_back(std::move(action));
  };
  for (const auto& [key, group] : informers_[kPodGroup]->objects())
    read(*group, gang_name(key.first, key.second));
  for (const auto& [key, pod] : informers_[kPod]->objects())
    if (const std::string name = task_name(*pod); tasks_.contains(name)) read(*pod, name);
  if (!remembered.actions.empty()) handlers_.event(std::move(remembered));
}

void ClusterView::on_change(Kind kind, const SharedJson& object, bool gone) {
  if (!synced_) return;
  switch (kind) {
    case kNode:
      return on_node(*object, gone);
    case kQueue: {
      const bool known = queues_.contains(std::string(find_string(*object, {"metadata", "name"})));
      on_queue(*object, gone);
      // Only where there is one queue more or less may a pod's namespace mean another queue.
      return gone || !known ? read_all_pods() : void();
    }
    case kNamespace:
    case kPriorityClass:
      return read_all_pods();
    case kPodGroup:
      return on_group(*object, gone);
    case kDisruptionBudget:
      return on_disruption_budget(*object, gone);
    case kPod:
      return on_pod(*object, gone);
    case kKinds:
      return;
  }
}

void ClusterView::on_node(const Json& json, bool gone) {
  const std::string name(find_string(json, {"metadata", "name"}));
  const std::set<std::string> named = gone ? std::set<std::string>() : named_resources(json);
  if (gone) {
    nodes_.erase(name);
    named_.erase(name);
    handlers_.event(core::NodeRemove{name});
  } else {
    core::NodeUpsert node = read_node(json);
    const auto [at, fresh] = nodes_.try_emplace(name);
    if (fresh || !(at->second == node)) {
      at->second = node;
      handlers_.event(std::move(node));
    }
    named_[name] = named;
  }
  std::set<std::string, std::less<>> resources;
  for (const auto& [node, names] : named_) resources.insert(names.begin(), names.end());
  if (resources == device_resources_) return;
  device_resources_ = std::move(resources);
  if (synced_) read_all_pods();
}

void ClusterView::on_queue(const Json& json, bool gone) {
  const std::string name(find_string(json, {"metadata", "name"}));
  if (gone) {
    queues_.erase(name);
    handlers_.event(core::QueueRemove{name});
    ensure_default_queue();
    return;
  }
  core::QueueUpsert queue = read_queue(json, options_.queue_defaults);
  const auto [at, fresh] = queues_.try_emplace(name);
  if (!fresh && at->second == queue) return;
  at->second = queue;
  handlers_.event(std::move(queue));
  const int64_t decayed = objects::find_int(json, {"status", "decayedUsage", "amount"});
  if (fresh && decayed > 0)
    handlers_.event(core::QueueUsage{
        name, decayed,
        parse_time(find_string(json, {"status", "decayedUsage", "asOf"})).value_or(Time{})});
  if (fresh) recall_durations(name, json);
}

void ClusterView::recall_durations(const std::string& queue, const Json& json) {
  for (const Json& kept : find_array(json, {"status", "learnedDurations"})) {
    core::OwnerDurations past{.owner = std::string(find_string(kept, {"owner"})), .queue = queue};
    for (const Json& each : find_array(kept, {"milliseconds"}))
      if (each.is_int64() && each.get_int64() > 0) past.milliseconds.push_back(each.get_int64());
    if (!past.owner.empty() && !past.milliseconds.empty()) handlers_.event(std::move(past));
  }
}

/// Pods that name no queue go somewhere, also where nobody made one.
void ClusterView::ensure_default_queue() {
  if (queues_.contains(std::string(kDefaultQueue))) return;
  core::QueueUpsert queue;
  queue.name = kDefaultQueue;
  queue.reclaim = options_.queue_defaults.reclaim;
  queue.times = options_.queue_defaults.times;
  handlers_.event(std::move(queue));
}

void ClusterView::set_queue_defaults(const QueueDefaults& defaults) {
  options_.queue_defaults = defaults;
  if (!synced_) return;
  for (const auto& [key, queue] : informers_[kQueue]->objects()) on_queue(*queue, false);
  ensure_default_queue();
}

std::string ClusterView::queue_of_namespace(std::string_view ns) const {
  if (const SharedJson json = informers_[kNamespace]->find("", ns))
    if (const std::string_view queue = queue_label(*json); !queue.empty())
      return std::string(queue);
  const std::string name(ns);
  return queues_.contains(name) ? name : std::string(kDefaultQueue);
}

int32_t ClusterView::priority_of(std::string_view name) const {
  for (const auto& [key, json] : informers_[kPriorityClass]->objects())
    if (name.empty() ? objects::find_bool(*json, {"globalDefault"}) : key.second == name)
      return static_cast<int32_t>(objects::find_int(*json, {"value"}));
  return 0;
}

void ClusterView::on_disruption_budget(const Json& json, bool gone) {
  const std::string name = std::string(find_string(json, {"metadata", "namespace"})) + "/" +
                           std::string(find_string(json, {"metadata", "name"}));
  std::optional<core::DisruptionBudgetUpsert> budget = read_disruption_budget(json);
  if (gone || !budget) {
    if (disruption_budgets_.erase(name) > 0) handlers_.event(core::DisruptionBudgetRemove{name});
    return;
  }
  const auto [at, fresh] = disruption_budgets_.try_emplace(name);
  if (!fresh && at->second == *budget) return;
  at->second = *budget;
  handlers_.event(std::move(*budget));
}

void ClusterView::on_group(const Json& json, bool gone) {
  const std::string gang = gang_name(find_string(json, {"metadata", "namespace"}),
                                     find_string(json, {"metadata", "name"}));
  if (!gone) return tell_group(gang);
  handlers_.event(core::GangRemove{gang});
  groups_[gang].told.reset();
  if (groups_[gang].pods.empty()) groups_.erase(gang);
}

/// A group without a queue or priority of its own has those of its pods.
void ClusterView::tell_group(const std::string& gang) {
  const auto [ns, rest] = split_task(gang);
  const SharedJson json = informers_[kPodGroup]->find(ns, rest.substr(rest.find('/') + 1));
  if (json == nullptr) return;
  Group& group = groups_[gang];
  int32_t priority = INT32_MIN;
  std::string queue;
  for (const auto& [task, member] : group.pods) {
    priority = std::max(priority, member.first);
    if (queue.empty()) queue = member.second;
  }
  if (group.pods.empty()) priority = 0;
  if (queue.empty()) queue = queue_of_namespace(ns);
  core::GangUpsert event = read_pod_group(*json, queue, priority);
  if (group.told && *group.told == event) return;
  group.told = event;
  handlers_.event(std::move(event));
}

void ClusterView::join_group(const std::string& task, const std::string& gang, int32_t priority,
                             const std::string& queue) {
  if (const auto known = group_of_.find(task); known != group_of_.end() && known->second != gang)
    leave_group(task);
  if (gang.empty()) return;
  group_of_[task] = gang;
  auto& member = groups_[gang].pods[task];
  if (member == std::pair(priority, queue)) return;
  member = {priority, queue};
  tell_group(gang);
}

void ClusterView::leave_group(const std::string& task) {
  const auto known = group_of_.find(task);
  if (known == group_of_.end()) return;
  const std::string gang = known->second;
  group_of_.erase(known);
  Group& group = groups_[gang];
  group.pods.erase(task);
  if (!group.pods.empty())
    tell_group(gang);
  else if (!group.told)
    groups_.erase(gang);
}

void ClusterView::drop_task(const std::string& name, bool completed) {
  leave_group(name);
  refused_.erase(name);
  if (tasks_.erase(name) > 0) handlers_.event(core::TaskRemove{name, completed});
}

void ClusterView::on_pod(const Json& json, bool gone) {
  const std::string name = task_name(json);
  if (gone) {
    drop_task(name);
    handlers_.gone(name);
    return;
  }
  PodContext context;
  context.managed = [this](const Json& pod) {
    const std::string_view scheduler = find_string(pod, {"spec", "schedulerName"});
    return scheduler == "berth" ||
           (options_.default_scheduler && (scheduler.empty() || scheduler == "default-scheduler"));
  };
  context.priority = [this](std::string_view cls) { return priority_of(cls); };
  context.queue_of_namespace = [this](std::string_view ns) { return queue_of_namespace(ns); };
  context.device_resources = &device_resources_;
  PodTask read = read_pod(json, context);
  if (!read.task) {
    drop_task(name, find_string(json, {"status", "phase"}) == "Succeeded");
    if (read.refused.empty()) return;
    refused_[name] = read.refused;
    handlers_.refused({std::string(find_string(json, {"metadata", "namespace"})),
                       std::string(find_string(json, {"metadata", "name"})),
                       std::string(find_string(json, {"metadata", "uid"}))},
                      read.refused);
    return;
  }
  refused_.erase(name);
  core::TaskUpsert& task = *read.task;
  if (const auto age = ages_.find(controller_uid(json)); age != ages_.end())
    task.created = std::min(task.created, age->second);
  if (task.managed) join_group(name, task.gang, task.priority, task.queue);
  const auto [at, fresh] = tasks_.try_emplace(name);
  if (!fresh && at->second == task) return;
  at->second = task;
  handlers_.event(std::move(task));
}

void ClusterView::read_all_pods() {
  for (const auto& [key, pod] : informers_[kPod]->objects()) on_pod(*pod, false);
}

SharedJson ClusterView::object(const std::string& task) const {
  const auto [ns, name] = split_task(task);
  return informers_[kPod]->find(ns, name);
}

std::optional<PodRef> ClusterView::pod(const std::string& task) const {
  const auto [ns, name] = split_task(task);
  const SharedJson json = object(task);
  if (json == nullptr) return std::nullopt;
  return PodRef{ns, name, std::string(find_string(*json, {"metadata", "uid"}))};
}

std::string ClusterView::refused(const std::string& task) const {
  const auto found = refused_.find(task);
  return found == refused_.end() ? std::string() : found->second;
}

void ClusterView::keep_age(const std::string& task) {
  const auto [ns, name] = split_task(task);
  const SharedJson json = informers_[kPod]->find(ns, name);
  const auto known = tasks_.find(task);
  if (json == nullptr || known == tasks_.end()) return;
  const std::string uid = controller_uid(*json);
  if (uid.empty()) return;
  const auto [at, fresh] = ages_.try_emplace(uid, known->second.created);
  if (!fresh) {
    at->second = std::min(at->second, known->second.created);
    return;
  }
  age_order_.push_back(uid);
  if (age_order_.size() <= kAgesKept) return;
  for (size_t i = 0; i < kAgesKept / 2; ++i) ages_.erase(age_order_[i]);
  age_order_.erase(age_order_.begin(), age_order_.begin() + kAgesKept / 2);
}

}  // namespace berth::bridge
