#include "core/scaling/variants/variant_choice.h"

#include <cmath>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace berth::core {
namespace {

using testing::ElementsAre;

constexpr Money hour(double price) {
  return {static_cast<int64_t>(1e6 * price)};
}

int total(const Mix& mix) {
  return std::accumulate(mix.begin(), mix.end(), 0);
}

TEST(CheapestMix, IsOfOneKindOrOfSeveral) {
  const std::vector<MixPart> parts{{.needed = 4.8, .per_hour = hour(1)},
                                   {.needed = 1.2, .per_hour = hour(3)}};
  EXPECT_THAT(*cheapest_mix(parts, 1, 0, 10), ElementsAre(1, 1)) << "4, not 5 nor 6 an hour";
  EXPECT_THAT(*cheapest_mix(parts, 0.5, 0, 10), ElementsAre(0, 1));
  EXPECT_THAT(*cheapest_mix(parts, 1, 0, 1 + 1), ElementsAre(1, 1));
  EXPECT_THAT(*cheapest_mix(parts, 0, 2, 10), ElementsAre(2, 0)) << "the least count";
  EXPECT_FALSE(cheapest_mix(parts, 2, 0, 2));
  EXPECT_THAT(largest_mix(parts, 2), ElementsAre(0, 2));
}

TEST(CheapestMix, WithoutPricesEarlierPartsComeFirst) {
  std::vector<MixPart> parts{{.needed = 3, .per_hour = {}}, {.needed = 1, .per_hour = {}}};
  EXPECT_THAT(*cheapest_mix(parts, 1, 0, 10), ElementsAre(3, 0));
  parts[0].most = 2;
  EXPECT_THAT(*cheapest_mix(parts, 1, 0, 10), ElementsAre(2, 1)) << "what has no room there";
}

std::vector<MixPart> some_parts() {
  std::vector<MixPart> parts;
  for (int n = *rc::gen::inRange(1, 4); n > 0; --n)
    parts.push_back({.needed = *rc::gen::inRange(1, 60) / 10.0,
                     .per_hour = {*rc::gen::inRange(0, 9) * 100'000},
                     .most = *rc::gen::inRange(0, 6)});
  return parts;
}

RC_GTEST_PROP(CheapestMix, NoOtherMixIsCheaper, ()) {
  const auto parts = some_parts();
  const int most = *rc::gen::inRange(1, 8);
  const auto found = cheapest_mix(parts, 1, 0, most);
  // All of them.
  std::optional<double> least;
  Mix mix(parts.size());
  const auto visit = [&](auto&& self, size_t i) -> void {
    if (i < parts.size()) {
      for (mix[i] = 0; mix[i] <= parts[i].most; ++mix[i]) self(self, i + 1);
      mix[i] = 0;
      return;
    }
    if (total(mix) > most || borne_by(mix, parts) < 1 - 1e-9) return;
    const double cost = cost_of_mix(mix, parts);
    least = std::min(least.value_or(cost), cost);
  };
  visit(visit, 0);
  RC_ASSERT(found.has_value() == least.has_value());
  if (!found) return;
  RC_ASSERT(total(*found) <= most);
  RC_ASSERT(borne_by(*found, parts) >= 1 - 1e-6);
  RC_ASSERT(std::abs(cost_of_mix(*found, parts) - *least) < 1);
}

RC_GTEST_PROP(CheapestMix, IsNeverDearerThanTheBestSinglePart, ()) {
  auto parts = some_parts();
  for (int n = *rc::gen::inRange(0, 6); n > 0; --n) parts.push_back(some_parts().front());
  for (MixPart& part : parts) part.most *= *rc::gen::element(1, 40);
  const int most = *rc::gen::inRange(1, 100);
  const int least = *rc::gen::inRange(0, 5);
  const double load = *rc::gen::inRange(0, 300) / 10.0;
  const auto found = cheapest_mix(parts, load, least, most);
  for (const MixPart& part : parts) {
    const int alone = std::max(least, static_cast<int>(std::ceil(load * part.needed - 1e-9)));
    if (alone > std::min(part.most, most)) continue;
    RC_ASSERT(found.has_value());
    RC_ASSERT(cost_of_mix(*found, parts) <= alone * static_cast<double>(part.per_hour.micro) + 0.5);
  }
}

/// Variants played to a choice, a decision a second; what is ordered answers after its start.
class Played {
 public:
  explicit Played(std::vector<VariantView> of, double hold_s = 20)
      : variants(std::move(of)), choice_(hold_s), orders_(variants.size()) {}

  /// A load that `of` of the first variant would bear; others by their own `needed` at 1.
  const VariantDecision& step(double load) {
    for (size_t i = 0; i < variants.size(); ++i)
      while (static_cast<int>(orders_[i].size()) < variants[i].ready) orders_[i].push_back(now_s);
    std::vector<VariantView> views = variants;
    for (VariantView& each : views) each.needed *= load;
    const double before = answered();
    last = choice_.decide(views, bounds, now_s);
    if (load > 0 && answered(last.replicas) < std::min(load, before) - 1e-6) gave_up = true;
    for (size_t i = 0; i < variants.size(); ++i) {
      changes += last.replicas[i] != variants[i].ordered ? 1 : 0;
      auto& orders = orders_[i];
      while (static_cast<int>(orders.size()) < last.replicas[i])
        orders.push_back(now_s + variants[i].start_s);
      while (static_cast<int>(orders.size()) > last.replicas[i]) orders.pop_back();
      variants[i].ordered = last.replicas[i];
    }
    now_s += 1;
    for (size_t i = 0; i < variants.size(); ++i)
      variants[i].ready = static_cast<int>(
          std::ranges::count_if(orders_[i], [this](double at) { return at <= now_s; }));
    return last;
  }
  void play(int seconds, double load) {
    for (int i = 0; i < seconds; ++i) step(load);
  }
  Mix ordered() const {
    Mix mix;
    for (const VariantView& each : variants) mix.push_back(each.ordered);
    return mix;
  }

  std::vector<VariantView> variants;
  VariantBounds bounds{.least = 0, .most = 10, .standby = 0};
  VariantDecision last;
  double now_s = 0;
  int changes = 0;
  bool gave_up = false;  ///< what answered, before what replaces it did

 private:
  double answered(const Mix& of) const {
    double sum = 0;
    for (size_t i = 0; i < variants.size(); ++i)
      sum += std::min(variants[i].ready, of[i]) / variants[i].needed;
    return sum;
  }
  double answered() const { return answered(Mix(variants.size(), 1'000'000)); }

  VariantChoice choice_;
  std::vector<std::vector<double>> orders_;
};

/// One that does a load of 1, and one that does five times that for three times its price.
std::vector<VariantView> small_and_large() {
  return {{.needed = 1, .per_hour = hour(1), .start_s = 10},
          {.needed = 0.2, .per_hour = hour(3), .start_s = 10}};
}

TEST(VariantChoice, GrowsIntoTheCheaperVariantOnceItPays) {
  Played played(small_and_large());
  played.play(15, 0.8);
  EXPECT_THAT(played.ordered(), ElementsAre(1, 0));
  played.step(3.8);
  EXPECT_THAT(played.ordered(), ElementsAre(1, 1)) << "the large one, beside what answers";
  played.play(15, 3.8);
  EXPECT_THAT(played.ordered(), ElementsAre(0, 1)) << "the large one does it alone";
  EXPECT_FALSE(played.gave_up);
  played.play(200, 0.8);
  EXPECT_THAT(played.ordered(), ElementsAre(1, 0)) << "back, when the saving has paid for it";
  EXPECT_FALSE(played.gave_up);
  played.play(5, 0);
  EXPECT_THAT(played.ordered(), ElementsAre(0, 0));
}

TEST(VariantChoice, KeepsWhatRunsUntilTheSavingForegonePaysForTheChange) {
  Played played(small_and_large());
  played.variants[1].ordered = played.variants[1].ready = 1;
  played.step(0.8);
  EXPECT_THAT(played.ordered(), ElementsAre(0, 1));
  EXPECT_THAT(played.last.cheapest, ElementsAre(1, 0));
  EXPECT_EQ(played.last.saves_per_hour, 2e6);
  EXPECT_NEAR(played.last.pays_in_s, 20, 1e-6) << "10 s of 1 and of 3 an hour, at 2 an hour";
  played.play(19, 0.8);
  EXPECT_THAT(played.ordered(), ElementsAre(0, 1));
  played.play(2, 0.8);
  EXPECT_THAT(played.ordered(), ElementsAre(1, 1)) << "both, until the new one answers";
  EXPECT_TRUE(played.last.switching);
  EXPECT_EQ(played.last.saves_per_hour, 0) << "it is under way";
  played.play(11, 0.8);
  EXPECT_THAT(played.ordered(), ElementsAre(1, 0));
}

TEST(VariantChoice, ChangesAtOnceWhereWhatRunsCannotBeEnough) {
  Played played(small_and_large());
  played.bounds.most = 2;
  played.play(20, 1.5);
  EXPECT_THAT(played.ordered(), ElementsAre(2, 0));
  played.step(7);
  EXPECT_THAT(played.ordered(), ElementsAre(2, 2)) << "the small ones answer meanwhile";
  played.play(12, 7);
  EXPECT_THAT(played.ordered(), ElementsAre(0, 2));
  EXPECT_FALSE(played.gave_up);
  played.step(70);
  EXPECT_FALSE(played.last.enough);
  EXPECT_THAT(played.ordered(), ElementsAre(0, 2)) << "all that may be";
}

TEST(VariantChoice, WhatRunsBesideForAWhileDoesNotRaiseWhatIsNeeded) {
  Played played(small_and_large(), 60);
  played.bounds.most = 4;
  played.play(12, 0.8);
  played.play(12, 3.9);
  played.step(15);
  EXPECT_LE(played.ordered()[1], 3);
  played.play(30, 3.9);
  EXPECT_LE(played.ordered()[1], 3) << "needed once, and held";
  EXPECT_EQ(played.ordered()[0], 0);
  played.play(80, 3.9);
  EXPECT_THAT(played.ordered(), ElementsAre(0, 1));
  EXPECT_TRUE(played.last.enough);
}

TEST(VariantChoice, TheNextIsUsedWhereTheCheapestHasNoRoom) {
  Played played(small_and_large());
  played.variants[1].most = 0;
  played.play(3, 2.5);
  EXPECT_THAT(played.ordered(), ElementsAre(3, 0));
  played.variants[0].most = 3;
  played.play(3, 4.5);
  EXPECT_FALSE(played.last.enough);
  played.variants[1].most = 1;
  played.play(1, 4.5);
  EXPECT_EQ(played.ordered()[1], 1);
}

TEST(VariantChoice, WhatNobodyMeasuredIsForWhereTheOthersHaveNoRoom) {
  auto variants = small_and_large();
  variants[0].rank = 1;
  Played played(variants);
  played.play(3, 0.5);
  EXPECT_THAT(played.ordered(), ElementsAre(0, 1));
  played.variants[1].most = 1;
  played.play(1, 7);
  EXPECT_THAT(played.ordered(), ElementsAre(2, 1));
  played.variants[1].rank = 2;
  played.variants[1].most = 10;
  played.play(40, 0.5);
  EXPECT_THAT(played.ordered(), ElementsAre(1, 0)) << "one that misses the objective comes last";
  EXPECT_FALSE(played.gave_up);
}

TEST(VariantChoice, StandsByBeyondTheLoad) {
  Played played(small_and_large());
  played.bounds.standby = 1;
  played.play(20, 0);
  EXPECT_THAT(played.ordered(), ElementsAre(1, 0));
  played.play(20, 0.9);
  EXPECT_THAT(played.ordered(), ElementsAre(2, 0));
  played.play(60, 0);
  EXPECT_THAT(played.ordered(), ElementsAre(1, 0));
  played.bounds.least = 1;
  played.play(60, 0.9);
  EXPECT_THAT(played.ordered(), ElementsAre(2, 0)) << "beyond the load, not beyond the least";
}

TEST(VariantChoice, TheLeastReplicasAnswerWhileTheyMoveToTheCheaper) {
  Played played(small_and_large());
  played.bounds.least = 1;
  played.variants[1].ordered = played.variants[1].ready = 1;
  bool answers = true;
  for (int i = 0; i < 40; ++i) {
    played.step(0);
    answers = answers && played.variants[0].ready + played.variants[1].ready > 0;
  }
  EXPECT_THAT(played.ordered(), ElementsAre(1, 0));
  EXPECT_TRUE(answers);
}

TEST(VariantChoice, ANeedOfLateIsHeldAsFarAsWhatRunsBearsIt) {
  Played played({small_and_large().front()});
  played.play(15, 3.5);
  played.play(19, 1.5);
  EXPECT_THAT(played.ordered(), ElementsAre(4));
  played.play(2, 1.5);
  EXPECT_THAT(played.ordered(), ElementsAre(2));
}

std::vector<VariantView> some_variants() {
  std::vector<VariantView> variants;
  for (int n = *rc::gen::inRange(1, 4); n > 0; --n)
    variants.push_back({.needed = *rc::gen::inRange(1, 50) / 10.0,
                        .per_hour = {*rc::gen::inRange(1, 30) * 100'000},
                        .start_s = static_cast<double>(*rc::gen::inRange(1, 90))});
  return variants;
}

RC_GTEST_PROP(VariantChoice, UnderAConstantLoadItSettlesOnTheCheapest, ()) {
  Played played(some_variants());
  played.bounds.most = 40;
  // From anywhere.
  for (VariantView& each : played.variants) each.ordered = each.ready = *rc::gen::inRange(0, 4);
  const double load = *rc::gen::inRange(1, 40) / 10.0;
  played.play(100, load);
  for (int i = 0; i < 30'000 && (played.last.switching || played.last.saves_per_hour > 0); ++i)
    played.step(load);
  const int before = played.changes;
  played.play(100, load);
  RC_ASSERT(played.changes == before);
  RC_ASSERT(!played.gave_up);
  double cost = 0;
  for (const VariantView& each : played.variants)
    cost += each.ordered * static_cast<double>(each.per_hour.micro);
  for (const VariantView& each : played.variants) {
    const double alone = std::ceil(load * each.needed - 1e-9);
    RC_ASSERT(cost <= alone * static_cast<double>(each.per_hour.micro) + 0.5);
  }
}

RC_GTEST_PROP(VariantChoice, ALoadThatTremblesMakesNoFlapping, ()) {
  Played played(some_variants(), 60);
  played.bounds.most = 40;
  const double load = *rc::gen::inRange(1, 40) / 10.0;
  for (int i = 0; i < 600; ++i) played.step(load * *rc::gen::element(0.9, 0.95, 1.0, 1.05, 1.1));
  const int before = played.changes;
  for (int i = 0; i < 200; ++i) played.step(load * *rc::gen::element(0.9, 0.95, 1.0, 1.05, 1.1));
  RC_ASSERT(!played.gave_up);
  // A change and its end, at most, for each variant.
  RC_ASSERT(played.changes - before <= 2 * static_cast<int>(played.variants.size()));
}

}  // namespace
}  // namespace berth::core
