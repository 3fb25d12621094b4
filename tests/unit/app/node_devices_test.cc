#include <gtest/gtest.h>

#include "bridge/object_events.h"
#include "node/node_object.h"

namespace berth {
namespace {

node::Device gpu(std::string id) {
  node::Device device;
  device.resource = "nvidia.com/gpu";
  device.id = std::move(id);
  device.memory_bytes = 1024;
  return device;
}

// What the node says of its devices is what the scheduler reads: they meet only in an annotation.
TEST(NodeDevices, WhatOthersUseIsBusyForTheSchedulerToo) {
  node::Device used = gpu("gpu-0");
  used.busy_by.push_back({17, "trainer", "alice", 512});
  node::Device broken = gpu("gpu-1");
  broken.healthy = false;
  node::Device free = gpu("gpu-2");
  free.numa = 1;

  const std::string annotation = node::devices_annotation({used, broken, free});
  const core::NodeUpsert node = bridge::read_node(JsonObject{
      {"metadata",
       JsonObject{{"name", "n"}, {"annotations", JsonObject{{"berth.dev/devices", annotation}}}}}});

  ASSERT_EQ(node.devices.size(), 3u);
  EXPECT_TRUE(node.devices[0].busy);
  EXPECT_EQ(node.devices[0].memory_bytes, 1024);
  EXPECT_FALSE(node.devices[1].healthy);
  EXPECT_FALSE(node.devices[2].busy);
  EXPECT_TRUE(node.devices[2].healthy);
  EXPECT_EQ(node.devices[2].numa, 1);
}

}  // namespace
}  // namespace berth
