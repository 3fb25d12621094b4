// How far decisions are from the best there is, on clusters small enough to try everything.

#include <algorithm>
#include <bit>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "control/cycle.h"
#include "core/model/trial.h"
#include "core/placement/gang.h"
#include "core/placement/scorers/scorer.h"
#include "core/preemption/victims.h"
#include "core/sharing/entitlement.h"
#include "simulation/openb.h"

namespace berth {
namespace {

using namespace core;  // NOLINT: tests speak the core's terms

class Stopped final : public Clock {
 public:
  Time now() const override { return Time{}; }
};

const Time kNow{Duration::hours(100).ns};

NodeUpsert node(const std::string& name, uint64_t devices) {
  NodeUpsert node{.name = name,
                  .capacity = {.cpu_milli = 64'000,
                               .memory_bytes = int64_t{1} << 40,
                               .ephemeral_bytes = 0,
                               .pods = 110}};
  for (uint64_t i = 0; i < devices; ++i)
    node.devices.push_back(
        {.id = "gpu-" + std::to_string(i), .resource = "nvidia.com/gpu", .model = "A"});
  return node;
}

TaskUpsert task(const std::string& name, const std::string& queue, const std::string& gang,
                uint64_t devices) {
  TaskUpsert task{.name = name, .ns = "default", .gang = gang, .queue = queue};
  task.shape.devices.resource = "nvidia.com/gpu";
  task.shape.devices.count = static_cast<uint16_t>(devices);
  return task;
}

/// A gang of `members` whose members take `devices` each, asked for at `now`.
void ask(State& state, const std::string& name, const std::string& queue, uint64_t members,
         uint64_t devices, Time now) {
  const auto size = static_cast<uint32_t>(members);
  state.apply(GangUpsert{.name = name, .queue = queue, .min = size, .max = size, .created = now});
  for (uint64_t m = 0; m < members; ++m)
    state.apply(task(name + "-" + std::to_string(m), queue, name, devices));
}

Plan cycle(State& state, Placer& placer, Time now) {
  state.apply(Tick{now});
  Plan plan = control::decide(state, placer, 1);
  state.apply(PlanCommit{plan.id, plan.actions});
  for (const Action& action : plan.actions)
    if (const auto* bind = std::get_if<Bind>(&action))
      state.apply(BindDone{bind->place.task, true});
  return plan;
}

int64_t lost_by(const State& state, GangId gang) {
  int64_t lost = 0;
  for (TaskId id : state.gang(gang).tasks) lost += lost_work(state, state.task(id));
  return lost;
}

int64_t devices_of(const State& state, GangId gang) {
  int64_t milli = 0;
  for (TaskId id : state.gang(gang).tasks) milli += state.task(id).charged_milli;
  return milli;
}

/// What is lost at least so that `wanted` starts: every set of the lender's gangs is tried, of
/// which each was borrowed when it was taken, the largest last.
int64_t least_lost(State& state, const std::string& lender, GangId wanted) {
  const Queue& queue = state.queue(state.find_queue(lender));
  const int64_t borrowed =
      sum_of(queue.used, kAllAccelerators) - queue.guaranteed.accelerators.front().milli;
  std::vector<GangId> gangs;
  for (GangId id : state.queue(state.find_queue(lender)).gangs)
    if (state.gang(id).running > 0) gangs.push_back(id);
  const auto placer = make_placer("pack", 1);
  const Entitlements entitlements(state);
  int64_t least = INT64_MAX;
  for (uint32_t set = 0; set < 1u << gangs.size(); ++set) {
    int64_t lost = 0;
    int64_t devices = 0;
    int64_t largest = 0;
    for (size_t i = 0; i < gangs.size(); ++i) {
      if ((set >> i & 1) == 0) continue;
      lost += lost_by(state, gangs[i]);
      devices += devices_of(state, gangs[i]);
      largest = std::max(largest, devices_of(state, gangs[i]));
    }
    if (lost >= least || (set != 0 && devices - largest >= borrowed)) continue;
    Trial trial(state);
    for (size_t i = 0; i < gangs.size(); ++i)
      if (set >> i & 1)
        for (TaskId id : std::vector<TaskId>(state.gang(gangs[i]).tasks)) trial.vacate(id);
    const std::vector<TaskId> tasks = state.gang(wanted).tasks;
    if (place_gang(state, trial, *placer, entitlements, wanted, tasks).whole()) least = lost;
  }
  return least;
}

struct Lost {
  int64_t berth = 0;
  int64_t least = 0;
};

/// A queue borrowed the whole cluster, in gangs that started at different times; the owner of half
/// of it asks for a gang's room. Nothing where the gang would not start in any case.
std::optional<Lost> reclaim(uint64_t seed) {
  Rng rng(seed);
  State state;
  const auto placer = make_placer("pack", 1);
  const uint64_t nodes = 2 + rng.below(3);
  const uint64_t devices = 2 + rng.below(7);
  QuotaSpec half;
  half.accelerators.push_back(
      {"nvidia.com/gpu", static_cast<int64_t>(nodes * devices * 1000 / 2), 0});
  for (const char* name : {"lender", "owner"}) {
    QueueUpsert queue{.name = name, .guaranteed = half, .reclaim = Reclaim::kGuarantee};
    queue.times.protection = Duration{};
    state.apply(queue);
  }
  for (uint64_t n = 0; n < nodes; ++n) state.apply(node("n" + std::to_string(n), devices));
  Time now = kNow - Duration::hours(20);
  for (int i = 0; i < 12; ++i) {
    now = now + Duration::minutes(static_cast<int64_t>(1 + rng.below(90)));
    const uint64_t each = 1 + rng.below(std::min<uint64_t>(devices, 4));
    ask(state, "old-" + std::to_string(i), "lender", 1 + rng.below(4), each, now);
    cycle(state, *placer, now);
  }
  // Those that found no room go again.
  for (GangId id : std::vector<GangId>(state.queue(state.find_queue("lender")).gangs))
    if (state.gang(id).waiting > 0)
      for (TaskId waiting : std::vector<TaskId>(state.gang(id).tasks))
        state.apply(TaskRemove{state.task(waiting).name});
  state.apply(Tick{kNow});
  const uint64_t each = 1 + rng.below(std::min<uint64_t>(devices, 4));
  const uint64_t most = nodes * devices / 2 / each;
  if (most == 0) return std::nullopt;
  ask(state, "wanted", "owner", 1 + rng.below(most), each, kNow);
  State before = state;
  const int64_t least = least_lost(before, "lender", before.find_gang("wanted"));
  if (least == 0 || least == INT64_MAX) return std::nullopt;
  const Plan plan = cycle(state, *placer, kNow);
  Lost lost{0, least};
  for (const Action& action : plan.actions)
    if (const auto* evict = std::get_if<Evict>(&action))
      lost.berth += lost_work(state, state.task(state.find_task(evict->task)));
  EXPECT_GT(lost.berth, 0) << "seed " << seed << " reclaims nothing";
  return lost;
}

/// The most that could be placed of `pods` from `next` on, in milli; every way is tried.
int64_t most_placed(Fleet& fleet, std::span<const Request> pods, size_t next) {
  if (next == pods.size()) return 0;
  int64_t ahead = 0;
  for (size_t i = next; i < pods.size(); ++i) ahead += pods[i].total_milli();
  const Request& pod = pods[next];
  int64_t most = most_placed(fleet, pods, next + 1);
  for (uint32_t n = 0; n < fleet.size() && most < ahead; ++n) {
    if (!fleet.fits(n, pod)) continue;
    std::vector<DeviceSet> choices{lowest_free_devices(fleet.left(n), pod.devices)};
    if (pod.shares_device()) {
      choices.clear();
      std::vector<int16_t> seen;
      const auto left = fleet.left(n);
      for (size_t d = 0; d < left.size(); ++d) {
        if (left[d] < pod.device_milli ||
            std::find(seen.begin(), seen.end(), left[d]) != seen.end())
          continue;
        seen.push_back(left[d]);
        choices.push_back(device_bit(d));
      }
    }
    for (DeviceSet devices : choices) {
      fleet.take(n, pod, devices);
      most = std::max(most, pod.total_milli() + most_placed(fleet, pods, next + 1));
      fleet.give_back(n, pod, devices);
    }
  }
  return most;
}

struct Placed {
  int64_t berth = 0;
  int64_t first_fit = 0;
  int64_t most = 0;
};

/// Pods of the trace's kind ask for half as much again as two or three small nodes have.
Placed place(uint64_t seed) {
  Rng rng(seed);
  std::vector<traces::OpenbNode> nodes;
  int64_t capacity = 0;
  for (uint64_t n = 2 + rng.below(2); n > 0; --n) {
    const auto devices = static_cast<int>(1 + rng.below(4));
    nodes.push_back({devices * 8000, devices * 65'536, devices, "A"});
    capacity += devices * 1000;
  }
  std::vector<traces::OpenbPod> pods;
  for (int64_t demand = 0; demand < capacity * 3 / 2 && pods.size() < 10;) {
    const uint64_t kind = rng.below(10);
    traces::OpenbPod pod{static_cast<int64_t>(1000 + rng.below(8000)), 1024, 1, 1000, ""};
    if (kind < 5) pod.device_milli = static_cast<int>(100 * (1 + rng.below(9)));
    if (kind == 9) pod.devices = 2;
    pods.push_back(pod);
    demand += pod.total_milli();
  }
  traces::OpenbArrivals arrivals;
  for (uint32_t n = 0; n < nodes.size(); ++n) arrivals.nodes.push_back(n);
  for (uint32_t p = 0; p < pods.size(); ++p) arrivals.pods.push_back(p);
  const Stopped clock;
  const auto placed_by = [&](std::string_view policy) {
    const auto result = simulation::run_openb({nodes, pods, arrivals, policy}, clock);
    int64_t milli = 0;
    for (size_t p = 0; p < pods.size(); ++p)
      if (result->placements[p].node >= 0) milli += pods[p].total_milli();
    return milli;
  };
  Fleet fleet;
  for (const traces::OpenbNode& node : nodes)
    fleet.add_node(node.cpu_milli, node.memory_mib << 20, node.devices, 0);
  std::vector<Request> requests;
  for (const traces::OpenbPod& pod : pods)
    requests.push_back({pod.cpu_milli, pod.memory_mib << 20, static_cast<int16_t>(pod.devices),
                        static_cast<int16_t>(pod.device_milli)});
  return {placed_by("berth"), placed_by("first-fit"), most_placed(fleet, requests, 0)};
}

// The optimum knows all that will come, and may refuse what fits: nobody online reaches it.
TEST(Optimum, PlacesNearlyAsMuchAsWhoKnowsTheFuture) {
  double berth = 0;
  double first_fit = 0;
  double most = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const Placed placed = place(seed);
    EXPECT_LE(placed.berth, placed.most) << "seed " << seed;
    berth += static_cast<double>(placed.berth);
    first_fit += static_cast<double>(placed.first_fit);
    most += static_cast<double>(placed.most);
  }
  fmt::print("placed, of the most possible: berth {:.1f}%, first-fit {:.1f}%\n", 100 * berth / most,
             100 * first_fit / most);
  EXPECT_GE(berth / most, 0.9);
  EXPECT_GE(berth, first_fit);
}

TEST(Optimum, ReclaimLosesLittleMoreThanItMust) {
  int cases = 0;
  double ratios = 0;
  double worst = 1;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const std::optional<Lost> lost = reclaim(seed);
    if (!lost) continue;
    ++cases;
    const double ratio = static_cast<double>(lost->berth) / static_cast<double>(lost->least);
    EXPECT_GE(ratio, 1.0) << "seed " << seed;
    ratios += ratio;
    worst = std::max(worst, ratio);
  }
  ASSERT_GT(cases, 200);
  RecordProperty("cases", cases);
  fmt::print("lost work over the least possible, {} cases: mean {:.3f}, worst {:.2f}\n", cases,
             ratios / cases, worst);
  EXPECT_LE(ratios / cases, 1.02);
  EXPECT_LE(worst, 1.1);
}

}  // namespace
}  // namespace berth
