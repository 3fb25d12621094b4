#include "core/preemption/consolidation.h"

#include <algorithm>
#include <string_view>
#include <tuple>

#include "core/placement/gang.h"
#include "core/preemption/disruptions.h"
#include "core/preemption/victims.h"

namespace berth::core {
namespace {

struct Movable {
  TaskId task;
  Placement from;
  int64_t cost;
};

class Moves {
 public:
  Moves(State& state, Trial& trial, Placer& placer, const Entitlements& entitlements,
        const Disruptions& disruptions, GangId gang, std::span<const TaskId> tasks,
        const ConsolidationBounds& bounds)
      : state_(state),
        trial_(trial),
        placer_(placer),
        entitlements_(entitlements),
        disruptions_(disruptions),
        gang_(gang),
        tasks_(tasks),
        bounds_(bounds) {}

  std::optional<Consolidation> find(int64_t gain) {
    const size_t mark = trial_.mark();
    std::optional<Consolidation> found;
    int64_t cost = 0;
    for (const std::vector<Movable>& node : nodes()) {
      for (const Movable& each : node) {
        if (vacated_.size() == bounds_.moves) break;
        trial_.vacate(each.task);
        vacated_.push_back(each);
        cost += each.cost;
      }
      if (cost > 2 * gain || vacated_.size() == bounds_.moves) break;
      if ((found = settle())) break;
    }
    trial_.rollback(mark);
    if (!found || found->moved.empty() || found->cost >= gain) return std::nullopt;
    found->gain = gain;
    return found;
  }

 private:
  bool movable(const Task& task) const {
    if (!task.restartable || !task.preemptible || !task.gang.valid()) return false;
    if (task.phase != TaskPhase::kRunning && task.phase != TaskPhase::kBound) return false;
    const Gang& gang = state_.gang(task.gang);
    if (gang.tasks.size() != 1 || !gang.queue.valid() || task.gang == gang_) return false;
    const Gang& mine = state_.gang(gang_);
    if (gang.queue == mine.queue && gang.priority > mine.priority) return false;
    if (!disruptions_.allow(gang.tasks)) return false;
    return state_.now() >= task.started + state_.queue(gang.queue).times.protection;
  }

  int64_t cost_of(const Task& task) const {
    const int64_t devices = std::max<int64_t>(task.charged_milli, 1);
    return lost_work(state_, task) + bounds_.move_cost.to_milliseconds() * devices / 1000;
  }

  /// What can move off each node that has any, the nodes in the order in which they are tried.
  std::vector<std::vector<Movable>> nodes() const {
    const Shape& shape = state_.shape_of(tasks_.front());
    using Key = std::tuple<double, std::string_view>;
    std::vector<std::pair<Key, std::vector<Movable>>> all;
    for (size_t i = 0; i < state_.nodes().size(); ++i) {
      const Node& node = state_.nodes()[i];
      if (!node.alive || !node.ready || node.unschedulable) continue;
      std::vector<Movable> here;
      int64_t cost = 0;
      int64_t idle = 0;
      for (TaskId id : node.tasks) {
        const Task& task = state_.task(id);
        if (!movable(task)) continue;
        here.push_back({id, {id, task.node, task.devices}, cost_of(task)});
        cost += here.back().cost;
        idle += shape.devices.count > 0 ? task.charged_milli
                                        : state_.shape(task.shape).request.cpu_milli;
      }
      if (here.empty() || idle == 0) continue;
      for (const Device& device : node.devices)
        if (device.resource == shape.devices.resource) idle += 1000 - device.used_milli;
      std::sort(here.begin(), here.end(), [&](const Movable& a, const Movable& b) {
        return std::pair(a.cost, std::string_view(state_.task(a.task).name)) <
               std::pair(b.cost, std::string_view(state_.task(b.task).name));
      });
      all.push_back(
          {{static_cast<double>(cost) / static_cast<double>(idle), node.name}, std::move(here)});
    }
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    if (all.size() > bounds_.nodes) all.resize(bounds_.nodes);
    std::vector<std::vector<Movable>> nodes;
    for (auto& [key, here] : all) nodes.push_back(std::move(here));
    return nodes;
  }

  /// With these vacated: the gang in its places, whoever can stay where it was, the rest elsewhere.
  std::optional<Consolidation> settle() {
    const size_t mark = trial_.mark();
    Consolidation found;
    found.placed = place_gang(state_, trial_, placer_, entitlements_, gang_, tasks_).placed;
    bool settled = !found.placed.empty();
    std::vector<const Movable*> leaving;
    // The dearest to move stay first.
    for (size_t i = vacated_.size(); settled && i > 0; --i) {
      const Placement back[] = {vacated_[i - 1].from};
      if (!place_exactly(state_, trial_, entitlements_, back)) leaving.push_back(&vacated_[i - 1]);
    }
    for (const Movable* each : leaving) {
      const TaskId one[] = {each->task};
      const GangId its = state_.task(each->task).gang;
      settled = settled && place_gang(state_, trial_, placer_, entitlements_, its, one).whole();
      found.moved.push_back(each->task);
      found.cost += each->cost;
    }
    trial_.rollback(mark);
    if (!settled || !disruptions_.allow(found.moved)) return std::nullopt;
    return found;
  }

  State& state_;
  Trial& trial_;
  Placer& placer_;
  const Entitlements& entitlements_;
  const Disruptions& disruptions_;
  GangId gang_;
  std::span<const TaskId> tasks_;
  ConsolidationBounds bounds_;
  std::vector<Movable> vacated_;
};

}  // namespace

std::optional<Consolidation> find_consolidation(State& state, Trial& trial, Placer& placer,
                                                const Entitlements& entitlements,
                                                const Disruptions& disruptions, GangId gang,
                                                std::span<const TaskId> tasks, Duration wait,
                                                const ConsolidationBounds& bounds) {
  int64_t devices = 0;
  for (TaskId id : tasks) {
    const DeviceRequest& request = state.shape_of(id).devices;
    devices += std::max<int64_t>(1, int64_t{request.count} * std::max<int>(1, request.milli));
  }
  const int64_t gain = wait.to_milliseconds() * devices / 1000;
  return Moves(state, trial, placer, entitlements, disruptions, gang, tasks, bounds).find(gain);
}

}  // namespace berth::core
