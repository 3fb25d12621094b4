#include "node/network/cni.h"

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ParseCniConfig, ReadsAList) {
  const auto config = parse_cni_config(
      R"({"cniVersion":"1.0.0","name":"n","plugins":[{"type":"bridge","x":1},{"type":"tuning"}]})",
      "f");
  ASSERT_TRUE(config) << config.error().to_string();
  EXPECT_EQ(config->name, "n");
  ASSERT_EQ(config->plugins.size(), 2U);
  EXPECT_EQ(config->plugins[1].type, "tuning");
}

TEST(ParseCniConfig, ASinglePluginIsAListOfOne) {
  const auto config = parse_cni_config(R"({"name":"n","type":"macvlan","master":"eth0"})", "f");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->version, "0.4.0");
  ASSERT_EQ(config->plugins.size(), 1U);
}

TEST(ParseCniConfig, SaysWhatIsWrong) {
  const auto message = [](std::string_view text) {
    const auto config = parse_cni_config(text, "/etc/cni/net.d/x.conf");
    return config ? "accepted" : config.error().to_string();
  };
  EXPECT_THAT(message("{"), HasSubstr("/etc/cni/net.d/x.conf: cannot be read as JSON"));
  EXPECT_THAT(message("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(message(R"({"type":"bridge"})"), HasSubstr("no `name`"));
  EXPECT_THAT(message(R"({"name":"n","plugins":[]})"), HasSubstr("no plugins"));
  EXPECT_THAT(message(R"({"name":"n","plugins":[3]})"), HasSubstr("not a JSON object"));
  EXPECT_THAT(message(R"({"name":"n","cniVersion":"9","type":"x"})"), HasSubstr("cniVersion `9`"));
  EXPECT_THAT(message(R"({"name":"n","type":"../../bin/sh"})"), HasSubstr("`type`"));
}

TEST(CniPluginInput, CapabilitiesGoToWhoDeclaresThem) {
  const auto config = parse_cni_config(
      R"({"cniVersion":"1.0.0","name":"n","plugins":[
          {"type":"a","capabilities":{"bandwidth":true,"portMappings":true}},{"type":"b"}]})",
      "f");
  ASSERT_TRUE(config);
  const JsonObject capabilities =
      boost::json::parse(R"({"bandwidth":{"egressRate":5}})").as_object();
  const Json previous = boost::json::parse(R"({"ips":[]})");
  EXPECT_EQ(cni_plugin_input(*config, config->plugins[0], capabilities, nullptr),
            boost::json::parse(R"({"type":"a","cniVersion":"1.0.0","name":"n",
                                  "runtimeConfig":{"bandwidth":{"egressRate":5}}})"));
  EXPECT_EQ(cni_plugin_input(*config, config->plugins[1], capabilities, previous),
            boost::json::parse(
                R"({"type":"b","cniVersion":"1.0.0","name":"n","prevResult":{"ips":[]}})"));
}

TEST(CniConfig, SurvivesFormatting) {
  const auto config = parse_cni_config(
      R"({"cniVersion":"0.4.0","name":"n","disableCheck":true,"plugins":[{"type":"a","k":[1]}]})",
      "f");
  ASSERT_TRUE(config);
  const auto again = parse_cni_config(format_cni_config(*config), "g");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->plugins[0].conf, config->plugins[0].conf);
  EXPECT_TRUE(again->disable_check);
  EXPECT_EQ(again->version, "0.4.0");
}

TEST(ParseCniResult, TakesTheAddresses) {
  const auto result =
      parse_cni_result(R"({"ips":[{"address":"10.1.2.3/16"},{"address":"fd00::3/64"},{}]})");
  ASSERT_TRUE(result);
  EXPECT_THAT(result->ips, ElementsAre("10.1.2.3", "fd00::3"));
  EXPECT_FALSE(parse_cni_result("garbage"));
}

TEST(BandwidthCapability, ReadsQuantities) {
  const auto capability = bandwidth_capability("100M", "");
  ASSERT_TRUE(capability);
  EXPECT_EQ(capability->at("bandwidth").at("ingressRate").to_number<uint64_t>(), 100'000'000U);
  EXPECT_EQ(capability->at("bandwidth").at("ingressBurst").to_number<uint64_t>(), 10'000'000U);
  EXPECT_FALSE(capability->at("bandwidth").as_object().contains("egressRate"));
  EXPECT_TRUE(bandwidth_capability("", "")->empty());
  for (const char* bad : {"fast", "-1M", "999", "2P", "1e99"})
    EXPECT_FALSE(bandwidth_capability("", bad)) << bad;
}

TEST(Cni, AMissingPluginSaysHowToGetIt) {
  CniConfig config{
      .name = "n", .version = "1.0.0", .disable_check = false, .plugins = {{"no-such", {}}}};
  const auto result = Cni({"/nowhere"}).add(config, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(result.error().to_string(), HasSubstr("apt install containernetworking-plugins"));
}

}  // namespace
}  // namespace berth::node
