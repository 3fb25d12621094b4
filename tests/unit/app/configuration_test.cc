#include "app/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/placement/placer.h"
#include "objects/schema.h"
#include "objects/validate.h"
#include "objects/yaml.h"

namespace berth::app {
namespace {

using testing::ElementsAre;
using testing::Pair;

const std::string kHead = "apiVersion: config.berth.dev/v1alpha1\nkind: BerthConfiguration\n";

Configuration good(const std::string& text) {
  const auto read = read_configuration(kHead + text, "berth.yaml");
  if (read) return *read;
  for (const Error& error : read.error()) ADD_FAILURE() << error.to_string();
  return {};
}

std::vector<std::string> errors(const std::string& text) {
  std::vector<std::string> lines;
  if (const auto read = read_configuration(text, "berth.yaml"); !read)
    for (const Error& error : read.error()) lines.push_back(error.to_string());
  return lines;
}

Time at(std::string_view text) {
  return parse_time(text).value();
}

TEST(Configuration, AFileThatSaysNothingIsTheDefault) {
  EXPECT_EQ(good(""), Configuration());
}

TEST(Configuration, WhatItSaysCounts) {
  const Configuration read = good(
      "placement: {policy: spread}\n"
      "queueDefaults: {reclaim: guarantee, reclaimDelay: 5s, protection: 0s, replaceTimeout: "
      "1m, usageHalfLife: 24h}\n");
  EXPECT_EQ(read.scheduler.policy.profile, "spread");
  EXPECT_EQ(read.scheduler.policy.usage_half_life, Duration::hours(24));
  EXPECT_EQ(read.scheduler.policy.default_times,
            (core::QueueTimes{Duration::seconds(5), Duration{}, Duration::minutes(1)}));
  EXPECT_EQ(read.scheduler.default_reclaim, core::Reclaim::kGuarantee);
}

TEST(Configuration, WorkTakesTurnsWhereItSaysSo) {
  EXPECT_EQ(good("timeSlicing: {round: 5m}\n").scheduler.policy.rounds, core::RoundsPolicy());
  EXPECT_EQ(good("timeSlicing: {policy: berth, round: 5m}\n").scheduler.policy.rounds,
            (core::RoundsPolicy{"berth", Duration::minutes(5), Duration::minutes(1)}));
}

TEST(Configuration, RoundsThatRestartsWouldEatAreRefusedWithTheirPlace) {
  EXPECT_THAT(errors(kHead + "timeSlicing:\n  policy: las\n  round: 90s\n"),
              testing::ElementsAre("berth.yaml:5:3: timeSlicing.round: rounds of 1m30s would be "
                                   "lost to restarts of 1m0s; give at least twice `restartCost`"));
  EXPECT_THAT(errors(kHead + "timeSlicing: {policy: berth, round: 0s, restartCost: 0s}\n"),
              testing::SizeIs(1));
  EXPECT_THAT(errors(kHead + "timeSlicing: {round: 90s}\n"), testing::IsEmpty());
}

TEST(Configuration, AnAcceleratorWeighsItsPriceOverTheCheapest) {
  const Configuration read = good(
      "prices:\n"
      "- {accelerator: H100, perHour: 3.2, currency: EUR}\n"
      "- {accelerator: T4, perHour: 0.4, currency: EUR}\n"
      "- {resource: amd.com/gpu, perHour: 1, currency: EUR}\n"
      "- {accelerator: loan, perHour: 0, currency: EUR}\n"
      "- {resource: cpu, perHour: 0.01, currency: EUR}\n");
  EXPECT_THAT(scheduler_configuration(read, Time{}).policy.accelerator_weights_milli,
              ElementsAre(Pair("H100", 8000), Pair("T4", 1000), Pair("amd.com/gpu", 2500),
                          Pair("loan", 1)));
}

TEST(Configuration, APriceCountsFromItsInstantOn) {
  const Configuration read = good(
      "prices:\n"
      "- {accelerator: A, perHour: 9, currency: EUR, from: \"2027-01-01T00:00:00Z\"}\n"
      "- {accelerator: A, perHour: 3, currency: EUR}\n"
      "- {accelerator: B, perHour: 3, currency: EUR}\n"
      "- {accelerator: C, perHour: 1, currency: EUR, from: \"2028-01-01T00:00:00Z\"}\n");
  const auto weights = [&](std::string_view when) {
    return scheduler_configuration(read, at(when)).policy.accelerator_weights_milli;
  };
  EXPECT_THAT(weights("2026-12-31T23:59:59Z"), ElementsAre(Pair("A", 1000), Pair("B", 1000)));
  EXPECT_THAT(weights("2027-01-01T00:00:00Z"), ElementsAre(Pair("A", 3000), Pair("B", 1000)));
  EXPECT_THAT(weights("2028-01-01T00:00:00Z"),
              ElementsAre(Pair("A", 9000), Pair("B", 3000), Pair("C", 1000)));
  EXPECT_EQ(next_price(read, at("2026-11-01T00:00:00Z")), at("2027-01-01T00:00:00Z"));
  EXPECT_EQ(next_price(read, at("2027-01-01T00:00:00Z")), at("2028-01-01T00:00:00Z"));
  EXPECT_EQ(next_price(read, at("2028-01-01T00:00:00Z")), std::nullopt);
}

TEST(Configuration, EveryErrorIsToldWithItsPlace) {
  EXPECT_THAT(
      errors(kHead + "placement: {policy: packed}\n"
                     "queueDefaults: {reclaimDelay: -5s, patience: 1m}\n"
                     "prices:\n"
                     "- {accelerator: A, perHour: 1, currency: EUR}\n"
                     "- {accelerator: A, perHour: 2, currency: USD}\n"),
      ElementsAre(
          testing::StartsWith("berth.yaml:3:13: placement.policy: `packed` is not supported; did "
                              "you mean `pack`? (pack, spread, least-used, berth, "),
          "berth.yaml:4:17: queueDefaults.reclaimDelay: must not be negative, not -5s; `0s` means "
          "at once",
          testing::StartsWith("berth.yaml:4:36: queueDefaults.patience: unknown field"),
          "berth.yaml:7:4: prices[1].accelerator: `A` has a price for the same time in prices[0]; "
          "say with `from` since when each price applies, or remove one",
          "berth.yaml:7:32: prices[1].currency: `USD`, but the prices before are in `EUR`; give "
          "all prices in one currency"));
}

TEST(Configuration, OtherFilesAreRefused) {
  EXPECT_THAT(errors(""), ElementsAre(testing::HasSubstr("there is no configuration in it")));
  EXPECT_THAT(errors(kHead + "---\n" + kHead),
              ElementsAre(testing::HasSubstr("more than one document")));
  EXPECT_THAT(errors("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"),
              ElementsAre(testing::StartsWith(
                  "berth.yaml:2:1: kind: a ConfigMap is not a configuration;")));
  EXPECT_THAT(load_configuration("/nowhere/berth.yaml").error(),
              ElementsAre(testing::Field(&Error::where, "/nowhere/berth.yaml")));
}

TEST(Configuration, EveryPlacementProfileCanBeNamed) {
  for (const std::string_view profile : core::placement_profiles())
    EXPECT_EQ(good("placement: {policy: " + std::string(profile) + "}\n").scheduler.policy.profile,
              profile);
}

TEST(Configuration, TheExampleIsGood) {
  const auto read = load_configuration(BERTH_SOURCE_DIR "/examples/configuration.yaml");
  ASSERT_TRUE(read) << read.error().front().to_string();
  EXPECT_EQ(read->prices.size(), 5u);
  EXPECT_THAT(
      scheduler_configuration(*read, at("2026-11-23T00:00:00Z")).policy.accelerator_weights_milli,
      testing::Contains(Pair("NVIDIA-H100-80GB-HBM3", 8000)));
}

}  // namespace
}  // namespace berth::app
