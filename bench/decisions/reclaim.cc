#include <algorithm>

#include "base/rng.h"
#include "bench/decisions/measure.h"
#include "core/preemption/victims.h"

namespace berth::bench {
namespace {

using namespace core;  // NOLINT: the cases speak the core's terms

constexpr int kNodes = 500;
constexpr int kDevices = 8;
constexpr int kHalf = kNodes * kDevices / 2;
const Time kNow{Duration::hours(100).ns};
constexpr Duration kFilledFor = Duration::hours(20);
/// Whoever started within this time is protected.
constexpr Duration kProtection = Duration::hours(4);

struct GangSize {
  int members;
  int devices;  ///< of each member
};

/// Gangs of 1 to 64 devices, `devices` together.
std::vector<GangSize> sizes(Rng& rng, int devices) {
  std::vector<GangSize> out;
  while (devices > 0) {
    const int total = std::min(devices, static_cast<int>(1 + rng.below(64)));
    const int each = std::min(total, 1 << rng.below(4));
    out.push_back({total / each, each});
    devices -= out.back().members * each;
  }
  return out;
}

void ask(Cluster& cluster, const std::string& queue, int number, const GangSize& size, Time now) {
  const std::string gang = queue + "-" + std::to_string(number);
  const auto members = static_cast<uint32_t>(size.members);
  cluster.add(
      GangUpsert{.name = gang, .queue = queue, .min = members, .max = members, .created = now});
  for (int m = 0; m < size.members; ++m)
    cluster.add(gpu_task(gang + "-" + std::to_string(m), size.devices, queue, gang));
}

/// No choice of victims loses less: as if gangs could be cut anywhere, and room were room.
double least_lost_s(const State& state) {
  struct Work {
    double lost_s;
    double devices;
  };
  std::vector<Work> work;
  for (const Gang& gang : state.gangs()) {
    if (!gang.alive || gang.running == 0) continue;
    Work of{0, 0};
    Time started;
    for (TaskId id : gang.tasks) {
      const Task& task = state.task(id);
      started = std::max(started, task.started);
      of.devices += state.shape_of(id).devices.count;
    }
    if (started + kProtection > kNow) continue;
    of.lost_s = of.devices * (kNow - started).to_seconds();
    work.push_back(of);
  }
  std::sort(work.begin(), work.end(), [](const Work& a, const Work& b) {
    return a.lost_s * b.devices < b.lost_s * a.devices;
  });
  double missing = kHalf;
  double least = 0;
  for (const Work& of : work) {
    const double part = std::min(1.0, missing / of.devices);
    least += part * of.lost_s;
    missing -= part * of.devices;
  }
  return least;
}

}  // namespace

Measures reclaim() {
  Cluster cluster("berth");
  Rng rng(1);
  QuotaSpec half;
  half.accelerators.push_back({"nvidia.com/gpu", kHalf * 1000, 0});
  for (const char* name : {"lender", "owner"}) {
    QueueUpsert queue{.name = name, .guaranteed = half};
    queue.times.protection = kProtection;
    queue.times.reclaim_delay = Duration::hours(1);
    cluster.add(queue);
  }
  for (int n = 0; n < kNodes; ++n) cluster.add(gpu_node("node-" + std::to_string(n), kDevices));

  const std::vector<GangSize> lent = sizes(rng, kNodes * kDevices);
  for (size_t i = 0; i < lent.size(); ++i) {
    const Time now = kNow - kFilledFor +
                     kFilledFor / static_cast<int64_t>(lent.size()) * static_cast<int64_t>(i);
    ask(cluster, "lender", static_cast<int>(i), lent[i], now);
    cluster.cycle(now);
  }
  const double least = least_lost_s(cluster.state());
  const std::vector<GangSize> wanted = sizes(rng, kHalf);
  for (size_t i = 0; i < wanted.size(); ++i)
    ask(cluster, "owner", static_cast<int>(i), wanted[i], kNow);
  const Plan plan = cluster.cycle(kNow);

  double lost_s = 0;
  int64_t taken = 0;
  int64_t given = 0;
  for (const Action& action : plan.actions) {
    if (const auto* evict = std::get_if<Evict>(&action)) {
      const TaskId id = cluster.state().find_task(evict->task);
      lost_s += static_cast<double>(lost_work(cluster.state(), cluster.state().task(id))) / 1000;
      taken += cluster.state().shape_of(id).devices.count;
    }
    if (const auto* claim = std::get_if<Claim>(&action); claim && !claim->reservation)
      for (const PlaceSpec& member : claim->members)
        given += static_cast<int64_t>(member.devices.size());
    if (const auto* bind = std::get_if<Bind>(&action))
      given += static_cast<int64_t>(bind->place.devices.size());
  }
  return {{"decision_ms", cluster.decision_seconds() * 1e3},
          {"gangs", static_cast<double>(lent.size())},
          {"wanted_gangs", static_cast<double>(wanted.size())},
          {"devices_taken", static_cast<double>(taken)},
          {"devices_given", static_cast<double>(given)},
          {"lost_device_hours", lost_s / 3600},
          {"lost_over_bound", lost_s / least}};
}

}  // namespace berth::bench
