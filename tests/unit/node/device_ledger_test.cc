#include "node/device_ledger.h"

#include <gtest/gtest.h>

#include "node/pod/pod_spec.h"

namespace berth::node {
namespace {

DeviceLedger two_devices() {
  std::vector<Device> devices(2);
  for (size_t i = 0; i < 2; ++i) {
    devices[i].resource = "r/gpu";
    devices[i].id = i == 0 ? "g0" : "g1";
    devices[i].memory_bytes = 1000;
  }
  DeviceLedger out;
  out.set_devices(std::move(devices));
  return out;
}

TEST(DeviceLedger, AWholeDeviceIsGivenOnce) {
  DeviceLedger ledger = two_devices();
  EXPECT_TRUE(ledger.take("a", {{"r/gpu", "g0", 1000, 0}}));
  EXPECT_TRUE(ledger.take("a", {{"r/gpu", "g0", 1000, 0}})) << "asking again is no second use";
  EXPECT_EQ(ledger.take("b", {{"r/gpu", "g0", 1, 1}}).error().code, ErrorCode::kConflict);
  EXPECT_TRUE(ledger.take("b", {{"r/gpu", "g1", 1000, 0}}));
  ledger.give_back("a");
  EXPECT_TRUE(ledger.take("c", {{"r/gpu", "g0", 1000, 0}}));
}

TEST(DeviceLedger, SharesAndMemoryAddUpToTheDevice) {
  DeviceLedger ledger = two_devices();
  EXPECT_TRUE(ledger.take("a", {{"r/gpu", "g0", 500, 600}}));
  EXPECT_FALSE(ledger.take("b", {{"r/gpu", "g0", 501, 100}}));
  EXPECT_FALSE(ledger.take("b", {{"r/gpu", "g0", 500, 401}}));
  EXPECT_TRUE(ledger.take("b", {{"r/gpu", "g0", 500, 400}}));
}

TEST(DeviceLedger, UnknownDevicesAreRefusedAndNothingIsTaken) {
  DeviceLedger ledger = two_devices();
  EXPECT_EQ(ledger.take("a", {{"r/gpu", "g0", 1000, 0}, {"r/gpu", "g9", 1000, 0}}).error().code,
            ErrorCode::kNotFound);
  EXPECT_TRUE(ledger.take("b", {{"r/gpu", "g0", 1000, 0}}));
}

TEST(AssignedDevices, AreReadFromTheAnnotation) {
  const auto devices = read_assigned_devices(
      R"({"nvidia.com/gpu":[{"id":"gpu-0","milli":500,"memoryBytes":42},{"id":"gpu-1"}]})");
  ASSERT_TRUE(devices);
  ASSERT_EQ(devices->size(), 2u);
  EXPECT_EQ(devices->at(0).milli, 500);
  EXPECT_EQ(devices->at(0).memory_bytes, 42);
  EXPECT_EQ(devices->at(1).milli, 1000);
  for (const char* bad :
       {"{", "[]", R"({"r":1})", R"({"r":[{}]})", R"({"r":[{"id":"x","milli":0}]})",
        R"({"r":[{"id":"x","milli":1001}]})", R"({"r":[{"id":"x","memoryBytes":-1}]})"})
    EXPECT_FALSE(read_assigned_devices(bad)) << bad;
}

}  // namespace
}  // namespace berth::node
