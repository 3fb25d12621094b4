#include "core/preemption/turns.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "core/placement/gang.h"
#include "core/preemption/disruptions.h"
#include "core/preemption/victims.h"
#include "core/sharing/kinds.h"
#include "core/sharing/time_slicing/policy.h"

namespace berth::core {
namespace {

/// So many rounds without a checkpoint are enough of a turn.
constexpr int64_t kPatience = 4;
/// Policies look ahead in about so many steps at most, however short the rounds are.
constexpr double kMostSteps = 64;

bool settled(const Task& task) {
  return task.phase == TaskPhase::kBound || task.phase == TaskPhase::kRunning;
}

double seconds(int64_t ns) {
  return static_cast<double>(ns) / 1e9;
}

/// Thousandths of devices.
int64_t size_of(const State& state, const Gang& gang) {
  int64_t milli = 0;
  size_t members = 0;
  for (TaskId id : gang.tasks) {
    const Task& task = state.task(id);
    if (gang.running > 0 ? !settled(task) : members++ >= gang.min) continue;
    milli += gang.running > 0 ? int64_t{task.charged_milli} : request_milli(state.shape_of(id));
  }
  return std::max<int64_t>(milli, 1);
}

Time start_of(const State& state, const Gang& gang) {
  Time first{INT64_MAX};
  for (TaskId id : gang.tasks)
    if (settled(state.task(id))) first = std::min(first, state.task(id).started);
  return first;
}

/// Of the kind that `shape` asks for, unclaimed, and within the limits from `queue` up.
int64_t free_milli(const State& state, const Shape& shape, QueueId queue) {
  int64_t free = 0;
  for (const Node& node : state.nodes()) {
    if (!node.alive || !node.ready || node.unschedulable) continue;
    for (const Device& device : node.devices)
      if (device.resource == shape.devices.resource && device.usable()) free += device.free_milli();
    for (const CountedResource& row : node.counted)
      if (row.resource == shape.devices.resource) free += std::max<int64_t>(0, row.free()) * 1000;
  }
  const AcceleratorMask kinds = kinds_of(state, shape);
  for (QueueId at = queue; at.valid(); at = state.queue(at).parent)
    for (const Quota::Row& row : state.queue(at).limit.accelerators)
      if ((row.mask & kinds) != 0)
        free = std::clamp<int64_t>(row.milli - sum_of(state.queue(at).used, row.mask), 0, free);
  return free;
}

/// What the policy sees: jobs in order of age.
struct Jobs {
  std::vector<GangId> gangs;
  std::vector<SliceJob> jobs;
  std::vector<PastJob> past;
};

Jobs jobs_of(const State& state, const TurnTakers& takers) {
  Jobs all;
  all.gangs = takers.running;
  all.gangs.insert(all.gangs.end(), takers.waiting.begin(), takers.waiting.end());
  std::sort(all.gangs.begin(), all.gangs.end(), [&](GangId a, GangId b) {
    const Gang& x = state.gang(a);
    const Gang& y = state.gang(b);
    return std::tie(x.created.ns, x.name) < std::tie(y.created.ns, y.name);
  });
  std::map<NameId, uint32_t> owners;  // in order of age, as ids differ after a restart
  for (GangId id : all.gangs) {
    const Gang& gang = state.gang(id);
    const Task& first = state.task(gang.tasks.front());
    const auto [owner, fresh] = owners.emplace(first.owner, static_cast<uint32_t>(owners.size()));
    SliceJob job{.id = static_cast<uint32_t>(all.jobs.size()),
                 .devices = static_cast<int>(size_of(state, gang)),
                 .arrived_s = seconds(gang.created.ns),
                 .running = gang.running > 0,
                 .model = owner->second};
    if (job.running) job.attained_s = seconds((state.now() - start_of(state, gang)).ns);
    if (const std::optional<DurationBelief> belief = state.duration_of(first))
      job.estimate_s = seconds(belief->at_most(0.5).ns);
    if (fresh && first.owner.valid())
      for (int64_t ms : state.durations().of(state.names().text(first.owner)))
        all.past.push_back({owner->second, static_cast<double>(ms) / 1e3, job.estimate_s});
    all.jobs.push_back(job);
  }
  return all;
}

class Search {
 public:
  Search(State& state, Trial& trial, Placer& placer, const Entitlements& entitlements,
         const Disruptions& disruptions, GangId gang, std::span<const TaskId> tasks)
      : state_(state),
        trial_(trial),
        placer_(placer),
        entitlements_(entitlements),
        disruptions_(disruptions),
        gang_(gang),
        tasks_(tasks) {}

  std::optional<Turn> run(const std::vector<GangId>& may_yield) {
    Turn turn;
    Disruptions disruptions = disruptions_;
    for (GangId id : may_yield) {
      if (!disruptions.allow(settled_of(id))) continue;
      disruptions.count(settled_of(id));
      turn.yielding.push_back(id);
      if (fits(turn)) break;
    }
    if (turn.placed.empty()) return std::nullopt;
    for (size_t i = turn.yielding.size(); i > 0 && turn.yielding.size() > 1; --i) {
      Turn fewer = turn;
      fewer.yielding.erase(fewer.yielding.begin() + static_cast<ptrdiff_t>(i - 1));
      if (fits(fewer)) turn = std::move(fewer);
    }
    return turn;
  }

 private:
  std::vector<TaskId> settled_of(GangId id) const {
    std::vector<TaskId> tasks = state_.gang(id).tasks;
    std::erase_if(tasks, [&](TaskId task) { return !settled(state_.task(task)); });
    return tasks;
  }

  bool fits(Turn& turn) {
    const size_t mark = trial_.mark();
    for (GangId id : turn.yielding)
      for (TaskId task : settled_of(id)) trial_.vacate(task);
    turn.placed = place_gang(state_, trial_, placer_, entitlements_, gang_, tasks_).placed;
    trial_.rollback(mark);
    return !turn.placed.empty();
  }

  State& state_;
  Trial& trial_;
  Placer& placer_;
  const Entitlements& entitlements_;
  const Disruptions& disruptions_;
  GangId gang_;
  std::span<const TaskId> tasks_;
};

}  // namespace

bool takes_turns(const State& state, const Gang& gang) {
  if (!gang.queue.valid() || gang.tasks.empty()) return false;
  const NameId resource = state.shape_of(gang.tasks.front()).devices.resource;
  return std::all_of(gang.tasks.begin(), gang.tasks.end(), [&](TaskId id) {
    const Task& task = state.task(id);
    const DeviceRequest& devices = state.shape_of(id).devices;
    return task.preemptible && task.restartable && devices.count > 0 &&
           devices.resource == resource;
  });
}

std::vector<GangId> running_turn_takers(const State& state, const Gang& waiting) {
  const auto resource = [&](const Gang& gang) {
    return state.shape_of(gang.tasks.front()).devices.resource;
  };
  std::vector<GangId> running;
  for (GangId id : state.queue(waiting.queue).gangs) {
    const Gang& gang = state.gang(id);
    if (gang.running == 0 || gang.running < gang.min || gang.priority != waiting.priority ||
        !takes_turns(state, gang) || resource(gang) != resource(waiting))
      continue;
    const auto held = std::count_if(gang.tasks.begin(), gang.tasks.end(),
                                    [&](TaskId task) { return settled(state.task(task)); });
    if (static_cast<uint32_t>(held) == gang.running) running.push_back(id);
  }
  std::sort(running.begin(), running.end(), [&](GangId a, GangId b) {
    const Gang& x = state.gang(a);
    const Gang& y = state.gang(b);
    return std::tie(x.created.ns, x.name) < std::tie(y.created.ns, y.name);
  });
  return running;
}

bool had_its_turn(const State& state, const Gang& gang) {
  const Duration round = state.policy().rounds.length;
  const Time start = start_of(state, gang);
  const Time enough = start + std::max(round / 2, state.queue(gang.queue).times.protection);
  if (state.now() < enough) return false;
  if (state.now() >= start + round * kPatience) return true;
  return std::all_of(gang.tasks.begin(), gang.tasks.end(), [&](TaskId id) {
    const Task& task = state.task(id);
    return !settled(task) || task.last_checkpoint.ns == 0 || task.last_checkpoint > task.started;
  });
}

std::vector<GangId> choose_round(const State& state, const TurnTakers& takers) {
  const RoundsPolicy& rounds = state.policy().rounds;
  const TimeSlicingPolicy* policy = find_time_slicing_policy(rounds.policy);
  if (policy == nullptr || takers.waiting.empty()) return {};
  const Jobs all = jobs_of(state, takers);
  const Gang& any = state.gang(takers.waiting.front());
  int64_t held = 0;
  for (GangId id : takers.running) held += size_of(state, state.gang(id));
  const int64_t devices = held + free_milli(state, state.shape_of(any.tasks.front()), any.queue);
  int64_t wanted = 0;
  double work = 0;
  for (const SliceJob& job : all.jobs) {
    wanted += job.devices;
    work += job.estimate_s.value_or(0) * job.devices;
  }
  SliceView view;
  view.now_s = seconds(state.now().ns);
  view.round_s = std::max(seconds(rounds.length.ns),
                          work / static_cast<double>(std::max<int64_t>(devices, 1)) / kMostSteps);
  view.restart_cost_s = seconds(rounds.restart_cost.ns);
  view.devices = static_cast<int>(devices);
  view.contention = std::max(
      1.0, static_cast<double>(wanted) / static_cast<double>(std::max<int64_t>(devices, 1)));
  view.jobs = all.jobs;
  view.past = all.past;
  // Rules that are for known lengths take one that nobody knows for short.
  std::vector<GangId> chosen;
  for (size_t i : policy->make()->choose(view)) chosen.push_back(all.gangs[i]);
  return chosen;
}

std::optional<Turn> find_turn(State& state, Trial& trial, Placer& placer,
                              const Entitlements& entitlements, const Disruptions& disruptions,
                              GangId gang, std::span<const TaskId> tasks,
                              std::vector<GangId> may_yield) {
  const auto lost = [&](GangId id) {
    int64_t sum = 0;
    for (TaskId task : state.gang(id).tasks)
      if (settled(state.task(task))) sum += lost_work(state, state.task(task));
    return sum;
  };
  std::sort(may_yield.begin(), may_yield.end(), [&](GangId a, GangId b) {
    return std::tuple(lost(a), -state.gang(a).created.ns, std::string_view(state.gang(a).name)) <
           std::tuple(lost(b), -state.gang(b).created.ns, std::string_view(state.gang(b).name));
  });
  return Search(state, trial, placer, entitlements, disruptions, gang, tasks).run(may_yield);
}

}  // namespace berth::core
