#include "core/model/state.h"

#include <gtest/gtest.h>

#include "core/model/trial.h"

namespace berth::core {
namespace {

constexpr int64_t kGi = int64_t{1} << 30;

NodeUpsert gpu_node(const std::string& name, int devices, int64_t device_memory = 80 * kGi) {
  NodeUpsert node{.name = name,
                  .capacity = {.cpu_milli = 64'000,
                               .memory_bytes = 512 * kGi,
                               .ephemeral_bytes = 100 * kGi,
                               .pods = 110}};
  for (int i = 0; i < devices; ++i)
    node.devices.push_back({.id = "gpu-" + std::to_string(i),
                            .resource = "nvidia.com/gpu",
                            .model = "H100",
                            .memory_bytes = device_memory});
  return node;
}

TaskUpsert gpu_task(const std::string& name, uint16_t count, uint16_t milli = 1000) {
  TaskUpsert task{.name = name, .ns = "default", .queue = "q"};
  task.shape.request = {.cpu_milli = 1000, .memory_bytes = kGi, .ephemeral_bytes = 0, .pods = 1};
  task.shape.devices.resource = "nvidia.com/gpu";
  task.shape.devices.count = count;
  task.shape.devices.milli = milli;
  return task;
}

class StateTest : public testing::Test {
 protected:
  StateTest() {
    state.apply(Tick{Time{1'000}});
    state.apply(QueueUpsert{.name = "root"});
    state.apply(QueueUpsert{.name = "q", .parent = "root"});
    state.apply(gpu_node("n0", 4));
  }
  void bind(const std::string& task, std::vector<std::string> devices) {
    state.apply(PlanCommit{1, {Bind{{task, "n0", std::move(devices)}}}});
  }
  const Queue& queue(const char* name) { return state.queue(state.find_queue(name)); }
  const Node& n0() { return state.node(state.find_node("n0")); }

  State state;
};

TEST_F(StateTest, BindingTakesFromNodeAndChargesEveryQueueAbove) {
  state.apply(gpu_task("a", 2));
  EXPECT_EQ(queue("root").pending_device_milli, 2000);
  bind("a", {"gpu-1", "gpu-3"});
  EXPECT_EQ(n0().used.cpu_milli, 1000);
  EXPECT_EQ(n0().devices[1].used_milli, 1000);
  EXPECT_EQ(n0().devices[0].used_milli, 0);
  EXPECT_EQ(queue("root").used.accelerator_milli[0], 2000);
  EXPECT_EQ(queue("root").pending_device_milli, 0);
  state.apply(TaskRemove{"a"});
  EXPECT_EQ(n0().used, Resources{});
  EXPECT_EQ(queue("q").used, Usage{});
}

TEST_F(StateTest, AShareChargesTheLargerOfComputeAndMemory) {
  TaskUpsert task = gpu_task("a", 1, 250);
  task.shape.devices.memory_bytes = 40 * kGi;
  state.apply(task);
  bind("a", {"gpu-0"});
  EXPECT_EQ(n0().devices[0].used_milli, 250);
  EXPECT_EQ(n0().devices[0].used_memory_bytes, 40 * kGi);
  EXPECT_EQ(queue("q").used.accelerator_milli[0], 500);
}

TEST_F(StateTest, AnOlderViewOfAPodDoesNotTakeBackWhatWasAssumed) {
  state.apply(gpu_task("a", 1));
  bind("a", {"gpu-0"});
  state.apply(gpu_task("a", 1));
  EXPECT_EQ(state.task(state.find_task("a")).phase, TaskPhase::kAssumed);
  state.apply(BindDone{"a", false});
  EXPECT_EQ(state.task(state.find_task("a")).phase, TaskPhase::kPending);
  EXPECT_EQ(n0().devices[0].used_milli, 0);
}

TEST_F(StateTest, ATrialEndsAtTheSameHash) {
  state.apply(gpu_task("a", 2));
  state.apply(gpu_task("b", 2));
  bind("a", {"gpu-0", "gpu-1"});
  const uint64_t before = state.hash();
  const TaskId a = state.find_task("a");
  const TaskId b = state.find_task("b");
  {
    Trial trial(state);
    trial.vacate(a);
    trial.place({b, state.find_node("n0"), 0b11});
    EXPECT_NE(state.hash(), before);
    const size_t mark = trial.mark();
    trial.release(b, state.task(a).gang, Time{5});
    trial.claim({state.task(a).gang, false, {{a, state.find_node("n0"), 0b11}}, Time{9}, {}});
    EXPECT_EQ(n0().devices[0].claims, 1);
    trial.lift(state.task(a).gang);
    EXPECT_EQ(n0().devices[0].claims, 0);
    trial.rollback(mark);
    EXPECT_TRUE(state.claims().empty());
    trial.claim({state.task(a).gang, false, {{a, state.find_node("n0"), 0b11}}, Time{9}, {}});
    trial.unclaim(state.task(a).gang);
  }
  EXPECT_EQ(state.hash(), before);
}

TEST_F(StateTest, AClaimWaitsForWhatItsVictimsHold) {
  TaskUpsert big = gpu_task("a", 0);
  big.shape.request.cpu_milli = 60'000;
  state.apply(big);
  big.name = "b";
  state.apply(big);
  bind("a", {});
  EXPECT_EQ(n0().free().cpu_milli, 4'000);
  state.apply(PlanCommit{2,
                         {Evict{"a", EvictReason::kPriority, "b"},
                          Claim{"b", false, {{"b", "n0", {}}}, Time{99}, std::nullopt}}});
  // The victim still holds 60; once it is gone, the claim does. Either way 4 are free.
  EXPECT_EQ(n0().free().cpu_milli, 4'000);
  state.apply(TaskRemove{"a"});
  EXPECT_EQ(n0().free().cpu_milli, 4'000);
  EXPECT_EQ(n0().used.cpu_milli, 0);
}

TEST_F(StateTest, ASnapshotRestoresTheSameHash) {
  TaskUpsert bound = gpu_task("a", 2);
  state.apply(bound);
  bind("a", {"gpu-2", "gpu-3"});
  state.apply(GangUpsert{.name = "g", .queue = "q", .min = 2, .max = 3});
  TaskUpsert member = gpu_task("m", 1, 500);
  member.gang = "g";
  state.apply(member);
  state.apply(PlanCommit{
      7,
      {PersistIntent{"g", 7, {{"m", "n0", {"gpu-0"}}}}, Evict{"a", EvictReason::kReclaim, "g"},
       Claim{"g", false, {{"m", "n0", {"gpu-2"}}}, Time{50}, std::nullopt},
       MarkBlocked{"g", Time{900}}}});
  State restored;
  for (const Event& event : state.snapshot()) restored.apply(event);
  EXPECT_EQ(restored.hash(), state.hash());
  EXPECT_EQ(restored.snapshot(), state.snapshot());
}

TEST_F(StateTest, ADeviceThatVanishesKeepsItsTaskAndTakesNoOther) {
  state.apply(gpu_task("a", 1));
  bind("a", {"gpu-3"});
  state.apply(gpu_node("n0", 2));
  EXPECT_EQ(n0().devices[3].used_milli, 1000);
  EXPECT_FALSE(n0().devices[3].usable());
  EXPECT_EQ(state.capacity().accelerator_milli[0], 2000);
  state.apply(NodeRemove{"n0"});
  EXPECT_EQ(state.capacity().accelerator_milli[0], 0);
  EXPECT_TRUE(state.find_node("n0").valid());
  state.apply(TaskRemove{"a"});
  EXPECT_FALSE(state.find_node("n0").valid());
}

TEST_F(StateTest, ObjectsArriveInAnyOrder) {
  State late;
  TaskUpsert task = gpu_task("a", 1);
  task.gang = "g";
  task.node = "n0";
  task.devices = {"gpu-1"};
  task.phase = TaskPhase::kRunning;
  late.apply(task);
  EXPECT_EQ(late.gang(late.find_gang("g")).min, kUndeclared);
  late.apply(GangUpsert{.name = "g", .queue = "q", .min = 1, .max = 1});
  late.apply(QueueUpsert{.name = "q", .parent = "root"});
  late.apply(QueueUpsert{.name = "root"});
  late.apply(gpu_node("n0", 4));
  const QueueId root = late.find_queue("root");
  EXPECT_EQ(late.queue(root).used.cpu_milli, 1000);
  const Node& node = late.node(late.find_node("n0"));
  // The task named it before the node did, so it is the first; it is the same device.
  EXPECT_EQ(late.names().text(node.devices[0].id), "gpu-1");
  EXPECT_EQ(node.devices[0].used_milli, 1000);
  EXPECT_TRUE(node.devices[0].healthy);
}

TEST_F(StateTest, TheChangeLogNamesWhatATrialTouched) {
  state.apply(gpu_task("a", 1));
  const uint64_t cursor = state.change_cursor();
  {
    Trial trial(state);
    trial.place({state.find_task("a"), state.find_node("n0"), 1});
  }
  ASSERT_TRUE(state.remembers(cursor));
  EXPECT_EQ(state.changes_since(cursor).size(), 2u);
}

TEST_F(StateTest, QueueCyclesAreBroken) {
  state.apply(QueueUpsert{.name = "root", .parent = "q"});
  state.apply(gpu_task("a", 1));
  bind("a", {"gpu-0"});
  SUCCEED();
}

}  // namespace
}  // namespace berth::core
