#include "controllers/scaling/vertical/sizing.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/quantity.h"
#include "controllers/pods.h"
#include "controllers/scaling/vertical/sizing_spec.h"
#include "documents/container_size.h"
#include "objects/json_text.h"

namespace berth::controllers {
namespace {

using objects::find_array;
using objects::find_object;
using objects::find_string;

constexpr std::string_view kRevision = "deployment.kubernetes.io/revision";

/// Those that run, of the newest template: others go soon.
std::vector<ObjectPtr> running_pods(const View& view, const Object& deployment) {
  std::vector<ObjectPtr> pods;
  for (const ObjectPtr& set : view.controlled(deployment.uid, Kind::kReplicaSet)) {
    if (set->annotation(kRevision) != deployment.annotation(kRevision)) continue;
    for (ObjectPtr& pod : view.controlled(set->uid, Kind::kPod))
      if (is_active(*pod) && phase(*pod) == PodPhase::kRunning) pods.push_back(std::move(pod));
  }
  return pods;
}

core::ContainerSize requested(const Json& container) {
  return documents::size_of(find_object(container, {"resources", "requests"}));
}

/// What a node has left for more requests; much where it is not known.
core::ContainerSize free_on(const View& view, std::string_view node) {
  constexpr core::ContainerSize kMuch{int64_t{1} << 40, int64_t{1} << 60};
  const ObjectPtr object = view.find({Kind::kNode, "", std::string(node)});
  if (object == nullptr) return kMuch;
  core::ContainerSize free =
      documents::size_of(find_object(*object->json, {"status", "allocatable"}));
  if (free == core::ContainerSize{}) return kMuch;
  for (const ObjectPtr& pod : view.list(Kind::kPod)) {
    if (find_string(*pod->json, {"spec", "nodeName"}) != node || is_finished(*pod)) continue;
    for (const Json& container : find_array(*pod->json, {"spec", "containers"})) {
      free.cpu_milli -= requested(container).cpu_milli;
      free.memory_bytes -= requested(container).memory_bytes;
    }
  }
  return free;
}

/// With how much memory a container of the pod was killed for want of it after `since`; or zero.
int64_t killed_with(const Object& pod, std::string_view container, Time since) {
  for (const Json& status : find_array(*pod.json, {"status", "containerStatuses"})) {
    if (find_string(status, {"name"}) != container) continue;
    for (const std::string_view state : {"state", "lastState"}) {
      if (find_string(status, {state, "terminated", "reason"}) != "OOMKilled") continue;
      const auto at = parse_time(find_string(status, {state, "terminated", "finishedAt"}));
      if (!at || *at <= since) continue;
      for (const Json& each : find_array(*pod.json, {"spec", "containers"}))
        if (find_string(each, {"name"}) == container) return requested(each).memory_bytes;
    }
  }
  return 0;
}

Json annotations(std::string_view reason, std::string_view sizing) {
  const auto or_none = [](std::string_view text) { return text.empty() ? Json() : Json(text); };
  return JsonObject{
      {"metadata", JsonObject{{"annotations", JsonObject{{kSizingReason, or_none(reason)},
                                                         {kSizingState, or_none(sizing)}}}}}};
}

class SizingRound {
 public:
  SizingRound(const View& view, const ObjectPtr& deployment, const SizingSpec& spec, Time now)
      : view_(view),
        deployment_(deployment),
        spec_(spec),
        now_(now),
        before_(Sizing::read(*deployment)),
        after_(before_),
        pods_(running_pods(view, *deployment)) {
    after_.held_up.clear();
    for (const ObjectPtr& pod : pods_) {
      const std::string node(find_string(*pod->json, {"spec", "nodeName"}));
      ++pods_on_[node];
      free_.try_emplace(node, free_on(view, node));
    }
  }

  Outcome run() && {
    look_at_pods();
    for (auto& [name, container] : after_.containers) decide(name, container);
    if (after_.text() != deployment_->annotation(kSizingState)) {
      write_down();  // the pods follow
    } else {
      for (const auto& [pod, containers] : behind_) resize(pod, containers);
    }
    return std::move(outcome_);
  }

 private:
  /// Finds those that have another size than was decided before, and what room these leave.
  void look_at_pods() {
    for (const ObjectPtr& pod : pods_) {
      core::ContainerSize more;
      JsonArray containers = find_array(*pod->json, {"spec", "containers"});
      bool differs = false;
      for (Json& container : containers) {
        const auto known = before_.containers.find(std::string(find_string(container, {"name"})));
        if (known == before_.containers.end()) continue;
        const core::ContainerSize has = requested(container), wanted = known->second.size;
        more.cpu_milli += wanted.cpu_milli - has.cpu_milli;
        more.memory_bytes += wanted.memory_bytes - has.memory_bytes;
        differs |= merge(container,
                         documents::resized(known->second.request, known->second.limit, wanted));
      }
      if (!differs) continue;
      core::ContainerSize& free = free_[std::string(find_string(*pod->json, {"spec", "nodeName"}))];
      if ((more.cpu_milli > 0 && more.cpu_milli > free.cpu_milli) ||
          (more.memory_bytes > 0 && more.memory_bytes > free.memory_bytes)) {
        hold_up(pod->key.name, "keeps the size of its template: its node has no room for more");
        continue;
      }
      free.cpu_milli -= more.cpu_milli;
      free.memory_bytes -= more.memory_bytes;
      behind_.emplace_back(pod, std::move(containers));
    }
  }

  /// Puts amounts into a container's resources; true where these were others.
  static bool merge(Json& container, const JsonObject& resources) {
    bool differs = false;
    for (const auto& [side, amounts] : resources) {
      JsonObject& has = objects::ensure_object(container, {"resources", side});
      if (documents::size_of(has) == documents::size_of(amounts.as_object())) continue;
      for (const auto& [name, amount] : amounts.as_object()) has[name] = amount;
      differs = true;
    }
    return differs;
  }

  void decide(const std::string& name, Sizing::Container& container) {
    core::ResizeInput input{.samples = {},
                            .request = container.size,
                            .limit = limit_of(container),
                            .cpu = spec_.cpu,
                            .memory = spec_.memory,
                            .room = {INT64_MAX / 4, INT64_MAX / 4}};
    for (const ObjectPtr& pod : pods_) {
      std::ranges::move(view_.use().of(pod->uid, name, before_.changed),
                        std::back_inserter(input.samples));
      container.killed_bytes =
          std::max(container.killed_bytes, killed_with(*pod, name, before_.changed));
    }
    input.killed_bytes = container.killed_bytes;
    for (const auto& [node, free] : free_) {
      input.room.cpu_milli = std::min(input.room.cpu_milli, free.cpu_milli / pods_on_[node]);
      input.room.memory_bytes =
          std::min(input.room.memory_bytes, free.memory_bytes / pods_on_[node]);
    }
    if (pods_.empty()) return;
    const core::ResizeDecision decision = core::decide_resize(input, spec_.rule);
    take(name + ": cpu", decision.cpu, Quantity::from_milli(container.size.cpu_milli),
         Quantity::from_milli(decision.cpu.amount));
    take(name + ": memory", decision.memory, Quantity::from_bytes(container.size.memory_bytes),
         Quantity::from_bytes(decision.memory.amount));
    for (auto& [node, free] : free_) {
      free.cpu_milli -= (decision.cpu.amount - container.size.cpu_milli) * pods_on_[node];
      free.memory_bytes -= (decision.memory.amount - container.size.memory_bytes) * pods_on_[node];
    }
    container.size = decision.size();
  }

  static core::ContainerSize limit_of(const Sizing::Container& container) {
    return {core::scaled_limit(container.limit.cpu_milli, container.request.cpu_milli,
                               container.size.cpu_milli),
            core::scaled_limit(container.limit.memory_bytes, container.request.memory_bytes,
                               container.size.memory_bytes)};
  }

  void take(const std::string& what, const core::AmountDecision& decision, const Quantity& from,
            const Quantity& to) {
    if (decision.move == core::Resize::kCannotGrow) {
      hold_up(what, fmt::format("stays at {}: {}", from.to_string(), decision.reason));
    } else if (decision.move != core::Resize::kStays) {
      say(changed_, fmt::format("{} from {} to {}: {}", what, from.to_string(), to.to_string(),
                                decision.reason));
    }
  }

  void hold_up(const std::string& what, const std::string& why) {
    after_.held_up.push_back(what);
    say(held_up_, fmt::format("{} {}", what, why));
  }

  static void say(std::string& all, const std::string& more) {
    all += (all.empty() ? "" : ". ") + more;
  }

  void write_down() {
    if (!changed_.empty()) {
      after_.changed = now_;
      ++after_.changes;
      outcome_.notes.push_back({deployment_, false, "Resized", changed_});
    }
    if (!held_up_.empty() && after_.held_up != before_.held_up)
      outcome_.notes.push_back({deployment_, true, "CannotGrow", held_up_});
    std::string reason = changed_;
    if (!held_up_.empty()) say(reason, held_up_);
    if (reason.empty()) reason = "what it uses fits";
    outcome_.writes.push_back(patch(*deployment_, annotations(reason, after_.text())));
  }

  void resize(const ObjectPtr& pod, const JsonArray& containers) {
    Write write = patch_blind(*pod, JsonObject{{"spec", JsonObject{{"containers", containers}}}});
    write.verb = Write::Verb::kPatchResize;
    write.on_behalf_of = deployment_;
    outcome_.writes.push_back(std::move(write));
  }

  const View& view_;
  const ObjectPtr& deployment_;
  const SizingSpec& spec_;
  const Time now_;
  const Sizing before_;
  Sizing after_;
  const std::vector<ObjectPtr> pods_;
  std::map<std::string, int64_t> pods_on_;               ///< of its own, by node
  std::map<std::string, core::ContainerSize> free_;      ///< by node
  std::vector<std::pair<ObjectPtr, JsonArray>> behind_;  ///< and the containers that they get
  std::string changed_, held_up_;
  Outcome outcome_;
};

Outcome reconcile(const View& view, const Key& key, Time now) {
  const ObjectPtr deployment = view.find(key);
  if (deployment == nullptr || deployment->deleting) return {};
  const auto spec = read_sizing(*deployment);
  if (spec && *spec) return SizingRound(view, deployment, **spec, now).run();
  // Pods keep the size that they have; nothing is said of it any more.
  Outcome outcome;
  const std::string reason = spec ? spec->error().to_string() : "";
  const std::string_view left = spec ? deployment->annotation(kSizingState) : "";
  if (deployment->annotation(kSizingReason) != reason ||
      deployment->annotation(kSizingState) != left)
    outcome.writes.push_back(patch(*deployment, annotations(reason, left)));
  return outcome;
}

void affected(const View& view, const Object& object, std::vector<Key>& keys) {
  if (object.key.kind == Kind::kDeployment) {
    if (read_sizing(object) || !object.annotation(kSizingState).empty()) keys.push_back(object.key);
  } else if (object.key.kind == Kind::kPod && object.controller() != nullptr) {
    const ObjectPtr set = view.find_uid(object.controller()->uid);
    if (set == nullptr || set->controller() == nullptr) return;
    const ObjectPtr deployment = view.find_uid(set->controller()->uid);
    if (deployment != nullptr && read_sizing(*deployment)) keys.push_back(deployment->key);
  }
}

}  // namespace

const Controller kSizing = {"sizing", &affected, &reconcile};

}  // namespace berth::controllers
