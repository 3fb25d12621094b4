#include "app/measured_use.h"

#include <gtest/gtest.h>

namespace berth::app {
namespace {

node::UsageSnapshot machine(double cores, int64_t memory_bytes) {
  node::UsageSnapshot usage;
  usage.machine.cpus = 8;
  usage.machine.memory_total_bytes = 64;
  usage.machine.cpu_cores = cores;
  usage.machine.memory_bytes = memory_bytes;
  return usage;
}

TEST(MeasuredUse, IsAPartOfWhatTheMachineHas) {
  EXPECT_EQ(node_sample(machine(2, 16), "n"), (core::NodeSample{"n", 250, 250, -1}));
  EXPECT_EQ(node_sample(machine(8.2, 64), "n"), (core::NodeSample{"n", 1000, 1000, -1}))
      << "a sample taken a little late is not more than all";
}

TEST(MeasuredUse, OfDevicesItIsTheMean) {
  node::UsageSnapshot usage = machine(0, 0);
  usage.devices = {{"gpu-0", 90, 0}, {"gpu-1", 30, 0}};
  EXPECT_EQ(node_sample(usage, "n"), (core::NodeSample{"n", 0, 0, 600}));
}

TEST(MeasuredUse, OfAnUnknownMachineIsUnknown) {
  EXPECT_EQ(node_sample({}, "n"), (core::NodeSample{"n", -1, -1, -1}));
}

}  // namespace
}  // namespace berth::app
