#include "bridge/plan_writer.h"

#include <algorithm>
#include <utility>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "bridge/keys.h"
#include "bridge/object_events.h"

namespace berth::bridge {
namespace {

using core::PlanCommit;

/// A failed binding goes back to control after this, so that a lasting failure is no busy loop.
constexpr Duration kRetry = Duration::milliseconds(500);
/// Between two tries of an eviction that is refused.
constexpr Duration kEvictionRetry = Duration::seconds(5);
/// Claims live for a grace and 30 s; after that control chooses again.
constexpr int kEvictionTries = 24;

/// `ns/group/name` → {ns, name}; nothing for a pod on its own.
std::optional<std::pair<std::string, std::string>> pod_group(const std::string& gang) {
  const size_t first = gang.find('/');
  const size_t second = gang.find('/', first + 1);
  if (first == std::string::npos || second == std::string::npos) return std::nullopt;
  return std::pair(gang.substr(0, first), gang.substr(second + 1));
}

Json annotation_patch(std::string_view key, const std::string& text) {
  return JsonObject{
      {"metadata",
       JsonObject{{"annotations", JsonObject{{key, text.empty() ? Json(nullptr) : Json(text)}}}}}};
}

std::string_view yields_because(core::EvictReason reason) {
  switch (reason) {
    case core::EvictReason::kPriority:
      return "for higher priority";
    case core::EvictReason::kReclaim:
      return "as its queue borrowed what the other is entitled to";
    case core::EvictReason::kBackfill:
      return "as it ran on devices that were reserved";
    case core::EvictReason::kGangIncomplete:
      return "its gang did not become whole in time";
    case core::EvictReason::kGangBroken:
      return "its gang lost members that were not replaced";
    case core::EvictReason::kConsolidation:
      return "it moves to make room";
    case core::EvictReason::kNodeGone:
      return "its node is gone";
    case core::EvictReason::kOversubscribed:
      return "its node gave out more than it has";
    case core::EvictReason::kBudget:
      return "the budget of its queue is spent";
    case core::EvictReason::kTurn:
      return "which has the next turn on its devices";
  }
  return "";
}

}  // namespace

void PlanWriter::execute(const core::Plan& plan) {
  // Bindings of a gang that starts wait for its intent; they follow it in the plan.
  std::optional<core::PersistIntent> intent;
  std::vector<core::Bind> of_intent;
  const auto flush = [&] {
    if (intent) bind_gang(*intent, std::exchange(of_intent, {}));
    intent.reset();
  };
  for (const core::Action& action : plan.actions) {
    if (const auto* persist = std::get_if<core::PersistIntent>(&action)) {
      flush();
      intent = *persist;
    } else if (const auto* b = std::get_if<core::Bind>(&action)) {
      const bool member =
          intent && std::any_of(intent->members.begin(), intent->members.end(),
                                [&](const core::PlaceSpec& p) { return p.task == b->place.task; });
      if (member)
        of_intent.push_back(*b);
      else
        bind(*b);
    } else if (const auto* e = std::get_if<core::Evict>(&action)) {
      evict(*e);
    } else if (const auto* clear = std::get_if<core::ClearIntent>(&action)) {
      annotate(clear->gang, kIntent, {});
    } else if (const auto* claim = std::get_if<core::Claim>(&action)) {
      annotate(claim->gang, kClaim, write_claim(*claim));
    } else if (const auto* unclaim = std::get_if<core::Unclaim>(&action)) {
      annotate(unclaim->gang, kClaim, {});
    }
  }
  flush();
}

void PlanWriter::annotate(const std::string& gang, std::string_view key, const std::string& text) {
  client::Target target;
  if (const auto group = pod_group(gang)) {
    target = {kPodGroups, group->first, group->second, ""};
  } else {
    const auto pod = context_.pod(gang);
    if (!pod) return;
    target = {kPods, pod->ns, pod->name, ""};
  }
  context_.client.patch(std::move(target), client::PatchType::kMerge, annotation_patch(key, text),
                        {}, &ToLoop::ignore);
}

void PlanWriter::bind_gang(const core::PersistIntent& intent, std::vector<core::Bind> binds) {
  const auto group = pod_group(intent.gang);
  if (!group) {
    for (const core::Bind& b : binds) bind(b);
    return;
  }
  const std::string gang = intent.gang;
  context_.client.patch(
      {kPodGroups, group->first, group->second, ""}, client::PatchType::kMerge,
      annotation_patch(kIntent, write_intent(intent)), {},
      to_loop_([this, gang, binds = std::move(binds)](const Result<SharedJson>& answer) {
        if (answer) {
          for (const core::Bind& b : binds) bind(b);
          return;
        }
        // Nothing was bound: the gang goes back as a whole.
        ++failures_;
        context_.loop.after(kRetry, [this, gang, binds] {
          for (const core::Bind& b : binds) context_.add(core::BindDone{b.place.task, false});
          context_.add(PlanCommit{0, {core::ClearIntent{gang}}});
        });
      }));
}

void PlanWriter::bind(const core::Bind& b) {
  const auto pod = context_.pod(b.place.task);
  if (!pod) {
    context_.add(core::BindDone{b.place.task, false});
    return;
  }
  JsonObject annotations;
  if (!b.place.devices.empty())
    annotations[kDevices] = boost::json::serialize(context_.devices(b.place));
  if (b.backfilled) annotations[kBackfilled] = "true";
  Json binding = JsonObject{
      {"apiVersion", "v1"},
      {"kind", "Binding"},
      {"metadata", JsonObject{{"name", pod->name},
                              {"namespace", pod->ns},
                              {"uid", pod->uid},
                              {"annotations", std::move(annotations)}}},
      {"target", JsonObject{{"apiVersion", "v1"}, {"kind", "Node"}, {"name", b.place.node}}}};
  context_.client.create(
      {kPods, pod->ns, pod->name, "binding"}, std::move(binding), {},
      to_loop_([this, b, pod = *pod](const Result<SharedJson>& answer) { bound(b, pod, answer); }));
}

void PlanWriter::bound(const core::Bind& b, const PodRef& pod, const Result<SharedJson>& answer) {
  if (answer) {
    ++binds_;
    context_.add(core::BindDone{b.place.task, true});
    record_event(context_.client, pod, false, "Scheduled",
                 fmt::format("Assigned {}/{} to {}", pod.ns, pod.name, b.place.node),
                 context_.clock.now());
    return;
  }
  // It may have happened all the same: the pod itself tells.
  const Error& why = answer.error();
  context_.client.get(
      {kPods, pod.ns, pod.name, ""}, to_loop_([this, b, pod, why](const Result<SharedJson>& read) {
        if (!read) {
          if (read.error().code == ErrorCode::kNotFound) return unbound(b.place.task, why);
          context_.loop.after(kRetry, [this, b, pod, why] { bound(b, pod, std::unexpected(why)); });
          return;
        }
        const bool same = objects::find_string(**read, {"metadata", "uid"}) == pod.uid;
        if (same && objects::find_string(**read, {"spec", "nodeName"}) == b.place.node) {
          ++binds_;
          context_.add(core::BindDone{b.place.task, true});
          return;
        }
        unbound(b.place.task, why);
      }));
}

void PlanWriter::unbound(const std::string& task, const Error& why) {
  ++failures_;
  if (const auto pod = context_.pod(task))
    record_event(context_.client, *pod, true, "FailedScheduling",
                 "the binding failed: " + why.to_string(), context_.clock.now());
  context_.loop.after(kRetry, [this, task] { context_.add(core::BindDone{task, false}); });
}

void PlanWriter::evict(const core::Evict& e) {
  const auto pod = context_.pod(e.task);
  if (!pod) return;
  const std::string message =
      e.beneficiary.empty()
          ? fmt::format("Preempted by Berth: {}", yields_because(e.reason))
          : fmt::format("Preempted by Berth for {}, {}", e.beneficiary, yields_because(e.reason));
  // Its controller sees by the condition that the pod did not fail, so that is written first.
  Json status = JsonObject{
      {"status",
       JsonObject{{"conditions", JsonArray{JsonObject{{"type", "DisruptionTarget"},
                                                      {"status", "True"},
                                                      {"reason", "PreemptionByBerth"},
                                                      {"message", message},
                                                      {"lastTransitionTime",
                                                       format_time(context_.clock.now())}}}}}}};
  context_.client.patch(
      {kPods, pod->ns, pod->name, "status"}, client::PatchType::kStrategicMerge, std::move(status),
      {}, to_loop_([this, e, pod = *pod](const Result<SharedJson>&) { send_eviction(e, pod, 0); }));
  record_event(context_.client, *pod, true, "Preempted", message, context_.clock.now());
}

void PlanWriter::send_eviction(const core::Evict& e, const PodRef& pod, int attempt) {
  Json eviction =
      JsonObject{{"apiVersion", "policy/v1"},
                 {"kind", "Eviction"},
                 {"metadata", JsonObject{{"name", pod.name}, {"namespace", pod.ns}}},
                 {"deleteOptions", JsonObject{{"preconditions", JsonObject{{"uid", pod.uid}}}}}};
  context_.client.create(
      {kPods, pod.ns, pod.name, "eviction"}, std::move(eviction), {},
      to_loop_([this, e, pod, attempt](const Result<SharedJson>& answer) {
        if (answer) {
          ++evictions_;
          delayed_.erase(e.task);
          return;
        }
        const ErrorCode code = answer.error().code;
        if (code == ErrorCode::kNotFound || code == ErrorCode::kConflict ||
            attempt == kEvictionTries) {
          delayed_.erase(e.task);
          return;
        }
        if (code == ErrorCode::kTooManyRequests &&
            std::exchange(delayed_[e.task], answer.error().what) != answer.error().what)
          context_.add(core::Tick{context_.clock.now()});  // a cycle tells who waits for it
        const Duration pause = code == ErrorCode::kTooManyRequests ? kEvictionRetry : kRetry;
        context_.loop.after(pause, [this, e, pod, attempt] { send_eviction(e, pod, attempt + 1); });
      }));
}

std::string PlanWriter::delayed(const std::string& task) const {
  const auto found = delayed_.find(task);
  return found == delayed_.end() ? std::string() : found->second;
}

}  // namespace berth::bridge
