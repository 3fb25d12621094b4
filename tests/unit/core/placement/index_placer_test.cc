#include "core/placement/index_placer.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "core/model/trial.h"
#include "core/placement/placer.h"

namespace berth::core {
namespace {

NodeUpsert node_of(const std::string& name, int devices, const std::string& model, int64_t cpu) {
  NodeUpsert node;
  node.name = name;
  node.capacity = {cpu, int64_t{64} << 30, int64_t{100} << 30, 110};
  for (int d = 0; d < devices; ++d) {
    DeviceSpec device;
    device.id = "gpu-" + std::to_string(d);
    device.resource = "nvidia.com/gpu";
    device.model = model;
    device.memory_bytes = int64_t{80} << 30;
    node.devices.push_back(device);
  }
  node.labels = {{"zone", devices > 4 ? "a" : "b"}};
  return node;
}

TaskUpsert task_of(const std::string& name, Rng& rng) {
  TaskUpsert task;
  task.name = name;
  task.ns = "default";
  task.shape.request = {static_cast<int64_t>(1000 * (1 + rng.below(6))), int64_t{1} << 30, 0, 1};
  const uint64_t kind = rng.below(5);
  if (kind > 0) {
    task.shape.devices.resource = "nvidia.com/gpu";
    task.shape.devices.count = static_cast<uint16_t>(kind == 4 ? 4 : 1);
    if (kind == 1) task.shape.devices.milli = static_cast<uint16_t>(100 + 150 * rng.below(5));
    if (kind == 3) task.shape.devices.models = {"B"};
  }
  if (rng.below(6) == 0) {
    task.shape.filter.selector = {{"zone", Operator::kIn, {"a"}}};
  }
  return task;
}

bool placed_well(const State& state, const Placement& placement) {
  const Node& node = state.node(placement.node);
  const Shape& shape = state.shape_of(placement.task);
  if (std::popcount(placement.devices) != shape.devices.count) return false;
  bool good = true;
  for_each_device(placement.devices,
                  [&](size_t d) { good &= fits(shape.devices, node.devices[d]); });
  const PlaceQuery query{placement.task};
  return good && !Feasibility(state, query).rejects(node);
}

/// Through arrivals, departures, cordons and moves that are taken back, a placer that followed all
/// of it answers as one made just now, places whatever can be placed, and only where it fits.
TEST(IndexPlacer, AnswersAsANewOneWould) {
  for (const std::string_view profile : {"berth", "fgd", "first-fit"}) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      SCOPED_TRACE(std::string(profile) + ", seed " + std::to_string(seed));
      Rng rng(seed);
      State state;
      state.apply(QueueUpsert{.name = "default"});
      for (int n = 0; n < 8; ++n) {
        state.apply(node_of("node-" + std::to_string(n), n % 2 ? 8 : 2, n % 3 ? "A" : "B",
                            8000 * (1 + n % 4)));
      }
      const auto placer = make_placer(profile, 1);
      ASSERT_NE(placer, nullptr);
      int64_t now = 0;
      for (int step = 0; step < 60; ++step) {
        state.apply(Tick{Time{++now}});
        TaskUpsert task = task_of("default/t" + std::to_string(step), rng);
        state.apply(task);
        if (step % 9 == 5) {
          NodeUpsert cordoned = node_of("node-1", 8, "A", 16000);
          cordoned.unschedulable = step % 2 == 0;
          state.apply(cordoned);
        }
        const PlaceQuery query{state.find_task(task.name)};
        const auto placement = placer->place(state, query);
        EXPECT_EQ(placement, make_placer(profile, 1)->place(state, query));
        EXPECT_EQ(placement.has_value(), make_placer("pack", 1)->place(state, query).has_value());
        if (!placement) continue;
        EXPECT_TRUE(placed_well(state, *placement));
        {
          Trial trial(state);
          trial.place(*placement);
          EXPECT_EQ(placer->place(state, query).has_value(),
                    make_placer(profile, 1)->place(state, query).has_value());
        }
        EXPECT_EQ(placer->place(state, query), placement);
        task.node = state.node(placement->node).name;
        for_each_device(placement->devices,
                        [&](size_t d) { task.devices.push_back("gpu-" + std::to_string(d)); });
        task.phase = TaskPhase::kRunning;
        state.apply(task);
        if (step % 4 == 3) {
          state.apply(
              TaskRemove{"default/t" + std::to_string(rng.below(static_cast<uint64_t>(step)))});
        }
      }
    }
  }
}

TEST(IndexPlacer, HeedsPreferences) {
  State state;
  state.apply(node_of("a", 8, "A", 64000));
  NodeUpsert tainted = node_of("b", 8, "A", 64000);
  state.apply(tainted);
  Rng rng(1);
  TaskUpsert task = task_of("default/t", rng);
  task.shape = {};
  task.shape.filter.preferred = {{{{"metadata.name", Operator::kIn, {"b"}}}, 10}};
  state.apply(task);
  const auto placement = make_placer("berth", 1)->place(state, {state.find_task("default/t")});
  ASSERT_TRUE(placement);
  EXPECT_EQ(state.node(placement->node).name, "b");
}

TEST(PlacementProfiles, AreKnownByName) {
  for (const char* name : {"berth", "pack", "spread", "least-used", "fgd", "best-fit"}) {
    EXPECT_NE(make_placer(name, 1), nullptr) << name;
  }
  EXPECT_EQ(make_placer("fgd2", 1), nullptr);
}

}  // namespace
}  // namespace berth::core
