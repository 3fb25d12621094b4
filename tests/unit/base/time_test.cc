#include "base/time.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace berth {
namespace {

TEST(TimeTest, ReadsRfc3339AndWritesUtc) {
  const auto canonical = [](std::string_view text) {
    const auto time = parse_time(text);
    return time ? format_micro_time(*time) : time.error().what;
  };
  EXPECT_EQ(canonical("2026-11-23T10:48:05Z"), "2026-11-23T10:48:05.000000Z");
  EXPECT_EQ(canonical("2026-11-23T10:48:05.123456789Z"), "2026-11-23T10:48:05.123456Z");
  EXPECT_EQ(canonical("2026-11-23T10:48:05+01:30"), "2026-11-23T09:18:05.000000Z");
  EXPECT_EQ(canonical("2024-02-29T00:00:00-00:30"), "2024-02-29T00:30:00.000000Z");
  EXPECT_EQ(canonical("1969-12-31T23:59:59.5Z"), "1969-12-31T23:59:59.500000Z");
  EXPECT_EQ(format_time(Time{}), "1970-01-01T00:00:00Z");
}

TEST(Time, FarPastAndFutureAreTheEndsOfTime) {
  EXPECT_EQ(format_time(*parse_time("9999-12-31T23:59:59Z")), "2200-01-01T00:00:00Z");
  EXPECT_EQ(format_time(*parse_time("3507-02-01T06:00:37.77Z")), "2200-01-01T00:00:00Z");
  EXPECT_EQ(format_time(*parse_time("0001-01-01T00:00:00Z")), "1800-01-01T00:00:00Z");
  EXPECT_EQ(format_time(*parse_time("2199-12-31T23:59:59.9Z")), "2199-12-31T23:59:59Z");
}

TEST(TimeTest, RefusesWhatIsNoTime) {
  for (const char* text : {"", "now", "2026-11-23", "2026-11-23T10:48:05", "2026-13-01T00:00:00Z",
                           "2025-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
                           "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+1:00",
                           "2026-01-01T00:00:00Zx", "20260101T000000Z"})
    EXPECT_FALSE(parse_time(text)) << text;
}

TEST(DurationTest, ReadsAndWritesAsGoDoes) {
  struct Case {
    const char* text;
    int64_t ns;
    const char* canonical;
  };
  for (const Case& c :
       {Case{"0", 0, "0s"}, Case{"90s", 90'000'000'000, "1m30s"},
        Case{"1h30m", 5'400'000'000'000, "1h30m0s"}, Case{"1.5s", 1'500'000'000, "1.5s"},
        Case{"800ms", 800'000'000, "800ms"}, Case{"-2m", -120'000'000'000, "-2m0s"},
        Case{"10us", 10'000, "10\u00b5s"}, Case{"7ns", 7, "7ns"},
        Case{"1us2m", 120'000'001'000, "2m0.000001s"}, Case{"1.25ms", 1'250'000, "1.25ms"},
        Case{".5h", 1'800'000'000'000, "30m0s"}}) {
    const auto duration = parse_duration(c.text);
    ASSERT_TRUE(duration) << c.text;
    EXPECT_EQ(duration->ns, c.ns) << c.text;
    EXPECT_EQ(format_duration(*duration), c.canonical);
  }
  for (const char* text : {"", "5", "s", "1x", "1h-5m", "--1s", "1 s", "1e3s", "nans", "infh",
                           "nAns", "1000000h1000000h999999999h"})
    EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(DurationTest, AgesAreShort) {
  const auto age = [](int64_t seconds) { return format_age(Duration::seconds(seconds)); };
  EXPECT_EQ(age(-5), "0s");
  EXPECT_EQ(age(119), "119s");
  EXPECT_EQ(age(120), "2m");
  EXPECT_EQ(age(192), "3m12s");
  EXPECT_EQ(age(600), "10m");
  EXPECT_EQ(age(3 * 3600 + 60), "3h1m");
  EXPECT_EQ(age(9 * 3600 + 60), "9h");
  EXPECT_EQ(age(2 * 86400 + 3600), "2d1h");
  EXPECT_EQ(age(30 * 86400), "30d");
  EXPECT_EQ(age(800 * 86400), "2y70d");
  EXPECT_EQ(age(9 * 365 * 86400), "9y");
}

RC_GTEST_PROP(TimeProperty, WhatIsWrittenIsReadBack, ()) {
  // 1800 to 2200 in microseconds: what `parse_time` reads as it is written.
  const int64_t raw = *rc::gen::inRange<int64_t>(-5'364'662'400'000'000, 7'258'118'400'000'000);
  const Time micro{raw * 1000};
  const auto read = parse_time(format_micro_time(micro));
  RC_ASSERT(read.has_value());
  RC_ASSERT(read->ns == micro.ns);
}

RC_GTEST_PROP(DurationProperty, WhatIsWrittenIsReadBackToTheMicrosecond, (int32_t ms)) {
  const Duration duration = Duration::milliseconds(ms);
  const auto read = parse_duration(format_duration(duration));
  RC_ASSERT(read.has_value());
  RC_ASSERT(read->ns == duration.ns);
}

RC_GTEST_PROP(TimeProperty, NoTextMakesItFail, (const std::string& text)) {
  (void)parse_time(text);
  (void)parse_duration(text);
}

}  // namespace
}  // namespace berth
