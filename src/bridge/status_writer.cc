#include "bridge/status_writer.h"

#include <algorithm>
#include <span>

#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <fmt/format.h>

#include "base/quantity.h"

namespace berth::bridge {
namespace {

constexpr Duration kPodPause = Duration::seconds(5);
/// Ten queues a second at most, and nothing more often than once a second.
constexpr Duration kQueuePause = Duration::seconds(1);
constexpr Duration kPastUsePause = Duration::seconds(10);
/// In the status of a queue: at most some 100 KiB.
constexpr size_t kOwnersKept = 256;
constexpr Duration kPausePerQueue = Duration::milliseconds(100);

std::string message_of(const core::Waiting& waiting) {
  std::string message;
  for (const core::Reason& reason : waiting.reasons)
    message += (message.empty() ? "" : "; ") + reason.text;
  return message;
}

}  // namespace

void StatusWriter::waiting(const core::State& state, const core::Plan& plan,
                           const std::function<std::optional<PodRef>(const std::string&)>& pod,
                           const std::function<std::string(const std::string&)>& delayed) {
  due_.reset();
  std::map<std::string_view, std::string> held_up;  // by beneficiary
  for (const core::Task& task : state.tasks())
    if (task.phase == core::TaskPhase::kReleasing && !task.released_for.empty())
      if (const std::string why = delayed(task.name); !why.empty())
        held_up[task.released_for] = fmt::format("{} cannot stop yet: {}", task.name, why);
  for (const core::Waiting& waiting : plan.waiting) {
    const core::GangId id = state.find_gang(waiting.gang);
    if (!id.valid()) continue;
    std::string message = message_of(waiting);
    std::string codes;
    bool gated = false;
    for (const core::Reason& reason : waiting.reasons) {
      codes += fmt::format("{} ", core::to_string(reason.code));
      gated |= reason.code == core::ReasonCode::kGated;
    }
    if (const auto found = held_up.find(waiting.gang); found != held_up.end()) {
      message += "; " + found->second;
      codes += core::to_string(core::ReasonCode::kDisruptionBudget);
    }
    for (core::TaskId task_id : state.gang(id).tasks) {
      const core::Task& task = state.task(task_id);
      if (task.phase != core::TaskPhase::kPending) continue;
      if (const auto ref = pod(task.name))
        tell(task.name, *ref, gated && task.gated, codes, message);
    }
  }
}

void StatusWriter::refused(const PodRef& pod, const std::string& why) {
  tell(pod.ns + "/" + pod.name, pod, false, "Refused", why);
}

void StatusWriter::tell(const std::string& task, const PodRef& pod, bool gated,
                        const std::string& codes, const std::string& message) {
  const Time now = clock_.now();
  Told& told = told_[task];
  if (told.message == message) return;
  const bool other_reason = told.codes != codes;
  if (!told.message.empty() && !other_reason && now < told.at + kPodPause) {
    due_ = due_ ? std::min(*due_, told.at + kPodPause) : told.at + kPodPause;
    return;
  }
  told = {message, codes, now};
  Json status = JsonObject{
      {"status",
       JsonObject{{"conditions",
                   JsonArray{JsonObject{{"type", "PodScheduled"},
                                        {"status", "False"},
                                        {"reason", gated ? "SchedulingGated" : "Unschedulable"},
                                        {"message", message},
                                        {"lastTransitionTime", format_time(now)}}}}}}};
  client_.patch({kPods, pod.ns, pod.name, "status"}, client::PatchType::kStrategicMerge,
                std::move(status), {}, &ToLoop::ignore);
  if (other_reason && !gated) record_event(client_, pod, true, "FailedScheduling", message, now);
}

void StatusWriter::collect_durations(const core::DurationMemory& durations) {
  if (durations_version_ == durations.version()) return;
  durations_version_ = durations.version();
  using Owner = std::pair<const std::string, core::DurationMemory::Past>;
  std::map<std::string_view, std::vector<const Owner*>> owners;
  for (const Owner& owner : durations.owners()) owners[owner.second.queue].push_back(&owner);
  // A queue that keeps nothing any more says so once.
  for (auto& [queue, kept] : durations_) kept.clear();
  for (auto& [queue, of_queue] : owners) {
    std::ranges::sort(of_queue, {}, [](const Owner* each) { return each->second.heard; });
    const size_t forgotten = of_queue.size() - std::min(of_queue.size(), kOwnersKept);
    JsonArray& kept = durations_[std::string(queue)];
    for (const Owner* owner : std::span(of_queue).subspan(forgotten))
      kept.push_back(
          JsonObject{{"owner", owner->first},
                     {"milliseconds", boost::json::value_from(owner->second.milliseconds)}});
  }
}

Duration StatusWriter::queues(const core::State& state) {
  int64_t written = 0;
  const core::Entitlements entitlements(state);
  collect_durations(state.durations());
  for (size_t i = 0; i < state.queues().size(); ++i) {
    const core::Queue& queue = state.queues()[i];
    if (!queue.alive) continue;
    const core::QueueId id{static_cast<uint32_t>(i)};
    std::map<std::string, Quantity> used{{"cpu", Quantity::from_milli(queue.used.cpu_milli)},
                                         {"memory", Quantity::from_bytes(queue.used.memory_bytes)}};
    std::map<std::string, int64_t> devices;
    for (size_t k = 0; k < state.accelerators().size(); ++k)
      devices[std::string(state.names().text(state.accelerators()[k].resource))] +=
          queue.used.accelerator_milli[k];
    for (const auto& [resource, milli] : devices) used[resource] = Quantity::from_milli(milli);
    // A merge patch: what is no longer used has to be said.
    JsonObject allocated;
    for (const auto& [resource, amount] : used)
      allocated[resource] = amount.milli() > 0 ? Json(amount.to_string()) : Json(nullptr);
    int64_t running = 0;
    for (core::GangId gang : queue.gangs)
      for (core::TaskId task : state.gang(gang).tasks)
        running += state.task(task).holds_place() ? 1 : 0;
    Json status = JsonObject{
        {"status", JsonObject{{"allocated", std::move(allocated)},
                              {"pending", static_cast<int64_t>(queue.pending_tasks)},
                              {"running", running},
                              {"share", fmt::format("{:.4f}", entitlements.share(id).dominant())},
                              {"fairShare", fmt::format("{:.4f}", entitlements.fair_share(id))}}}};
    // It changes all the time: every ten seconds is enough to go on from.
    if (PastUse& told = past_use_[queue.name]; queue.decayed > 0 || told.amount > 0) {
      if (state.now() - told.as_of >= kPastUsePause) told = {queue.decayed, state.now()};
      status.as_object()["status"].as_object()["decayedUsage"] =
          JsonObject{{"amount", told.amount}, {"asOf", format_time(told.as_of)}};
    }
    if (const auto learned = durations_.find(queue.name); learned != durations_.end())
      status.as_object()["status"].as_object()["learnedDurations"] = learned->second;
    std::string text = boost::json::serialize(status);
    std::string& last = queue_status_[queue.name];
    if (last == text) continue;
    last = std::move(text);
    ++written;
    client_.patch({kQueues, "", queue.name, "status"}, client::PatchType::kMerge, std::move(status),
                  {}, &ToLoop::ignore);
  }
  return std::max(kQueuePause, kPausePerQueue * written);
}

}  // namespace berth::bridge
