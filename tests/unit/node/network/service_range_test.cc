#include "node/network/services/service_range.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::node {
namespace {

using ::testing::HasSubstr;

Subnet net(std::string_view text) {
  return parse_subnet(text).value();
}

std::string chosen(const std::optional<Subnet>& asked, const std::optional<Subnet>& kept,
                   const std::vector<ForeignRoute>& others) {
  const auto range = choose_service_range(asked, kept, others);
  return range ? range->to_string() : range.error().to_string();
}

TEST(ServiceRange, IsTheFirstThatNobodyHas) {
  EXPECT_EQ(chosen({}, {}, {}), "10.96.0.0/16");
  EXPECT_EQ(
      chosen({}, {}, {{net("10.96.0.0/16"), "berth0", "/a"}, {net("10.97.3.0/24"), "tun0", ""}}),
      "10.98.0.0/16");
  EXPECT_THAT(chosen({}, {}, {{net("10.0.0.0/8"), "tun0", ""}}), HasSubstr("--service-subnet"));
}

TEST(ServiceRange, StaysWhatItWasAndGivesWayToWhatIsAsked) {
  EXPECT_EQ(chosen({}, net("10.99.0.0/16"), {}), "10.99.0.0/16");
  EXPECT_EQ(chosen(net("10.5.0.0/20"), net("10.99.0.0/16"), {}), "10.5.0.0/20");
  EXPECT_EQ(chosen({}, net("10.99.0.0/16"), {{net("10.99.4.0/24"), "tun0", ""}}), "10.99.0.0/16")
      << "a network of other machines: only what Services have is taken from it";
}

TEST(ServiceRange, IsNeverThatOfAnotherBerth) {
  const std::vector<ForeignRoute> others = {{net("10.96.0.0/16"), "berth0", "/var/lib/berth"}};
  EXPECT_EQ(chosen(net("10.96.0.0/16"), {}, others),
            "--service-subnet: 10.96.0.0/16 for Services overlaps 10.96.0.0/16 of another Berth on "
            "this machine (/var/lib/berth, bridge berth0); give another, such as 10.97.0.0/16, or "
            "stop that one");
  EXPECT_THAT(chosen({}, net("10.96.0.0/16"), others), HasSubstr("have to be made anew"));
}

TEST(ServiceRange, HasASensibleSize) {
  EXPECT_THAT(chosen(net("10.0.0.0/8"), {}, {}), HasSubstr("too large"));
  EXPECT_THAT(chosen(net("10.5.0.0/30"), {}, {}), HasSubstr("too small"));
}

}  // namespace
}  // namespace berth::node
