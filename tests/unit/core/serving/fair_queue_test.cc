#include "core/serving/fair_queue.h"

#include <algorithm>
#include <functional>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/rng.h"

namespace berth::core {
namespace {

constexpr TenantId kAnn{0}, kBob{1}, kCleo{2};

class FairQueueTest : public ::testing::Test {
 protected:
  QueuedRequest request(TenantId tenant, int64_t input, int priority = 0, int64_t at_s = 0) {
    return {.id = ++last_id_,
            .tenant = tenant,
            .priority = priority,
            .input_tokens = input,
            .expected_work = input,
            .arrived = Time{} + Duration::seconds(at_s)};
  }
  void arrive(TenantId tenant, int64_t input, int times = 1) {
    for (int i = 0; i < times; ++i) queue_.on_arrival(request(tenant, input));
  }
  /// Whose the next `count` requests are.
  std::vector<uint32_t> take(int count) {
    std::vector<uint32_t> tenants;
    for (int i = 0; i < count; ++i) {
      const auto taken = queue_.take(Time{});
      tenants.push_back(taken ? taken->tenant.value : 99);
    }
    return tenants;
  }

  uint64_t last_id_ = 0;
  FairQueue queue_{{}};
};

using Tenants = std::vector<uint32_t>;

TEST_F(FairQueueTest, EqualRequestsAlternate) {
  arrive(kAnn, 100, 3);
  arrive(kBob, 100, 3);
  EXPECT_EQ(take(7), (Tenants{0, 1, 0, 1, 0, 1, 99}));
}

TEST_F(FairQueueTest, ServesTokensNotRequests) {
  arrive(kAnn, 300, 3);
  arrive(kBob, 100, 6);
  EXPECT_EQ(take(8), (Tenants{0, 1, 1, 1, 0, 1, 1, 1}));
}

TEST_F(FairQueueTest, AWeightOfTwoGetsTwice) {
  queue_.on_tenant(kAnn, 2000);
  arrive(kAnn, 100, 6);
  arrive(kBob, 100, 6);
  EXPECT_EQ(take(6), (Tenants{0, 1, 0, 0, 1, 0}));
}

TEST_F(FairQueueTest, OutputCountsAsItComes) {
  arrive(kAnn, 100, 2);
  arrive(kBob, 100, 4);
  EXPECT_EQ(take(2), (Tenants{0, 1}));
  queue_.on_tokens(kAnn, 0, 100);  // weighs 200
  EXPECT_EQ(take(4), (Tenants{1, 1, 0, 1}));
}

TEST_F(FairQueueTest, IdlingSavesNothingUp) {
  arrive(kAnn, 100, 50);
  take(40);
  arrive(kBob, 100, 10);  // would have 40 turns to catch up, were it not lifted
  EXPECT_EQ(take(4), (Tenants{0, 1, 0, 1}));
}

TEST_F(FairQueueTest, AfterAnEmptyQueueTheLastCounterStands) {
  arrive(kAnn, 1000);
  take(1);
  arrive(kBob, 100, 1);
  EXPECT_EQ(queue_.counter(kBob), 0) << "Ann left with the counter she had before her turn";
  take(1);
  arrive(kCleo, 100);
  arrive(kBob, 100);
  EXPECT_EQ(take(2), (Tenants{2, 1}));
}

TEST_F(FairQueueTest, PassingCountsAsService) {
  queue_.on_pass(kAnn, 500);
  arrive(kBob, 100, 3);
  arrive(kAnn, 100);
  EXPECT_EQ(take(4), (Tenants{1, 1, 1, 0}));
}

TEST_F(FairQueueTest, PriorityOrdersOneTenantsOwnRequests) {
  queue_.on_arrival(request(kAnn, 10, 0));
  queue_.on_arrival(request(kAnn, 10, 5));
  queue_.on_arrival(request(kBob, 10, 0));
  EXPECT_EQ(queue_.take(Time{})->priority, 5);
  EXPECT_EQ(queue_.take(Time{})->tenant, kBob) << "Ann's priority counts nothing against Bob";
}

TEST_F(FairQueueTest, WhatWaitedTooLongGoesBeforeYoungerOnesOfHigherPriority) {
  queue_.on_arrival(request(kAnn, 10, 0, 0));
  for (int64_t at = 1; at <= 40; ++at) queue_.on_arrival(request(kAnn, 10, 5, at));
  EXPECT_EQ(queue_.take(Time{} + Duration::seconds(29))->priority, 5);
  EXPECT_EQ(queue_.take(Time{} + Duration::seconds(30))->priority, 0);
}

TEST_F(FairQueueTest, WhatComesBackHasItsOldPlace) {
  arrive(kAnn, 100, 2);
  const QueuedRequest first = *queue_.take(Time{});
  queue_.on_return(first);
  EXPECT_EQ(queue_.take(Time{})->id, first.id);
  EXPECT_EQ(queue_.counter(kAnn), 100);
}

TEST_F(FairQueueTest, CancelAndExpireTakeOut) {
  QueuedRequest cancelled = request(kAnn, 10);
  QueuedRequest late = request(kAnn, 10);
  late.expires = Time{} + Duration::seconds(5);
  queue_.on_arrival(cancelled);
  queue_.on_arrival(late);
  EXPECT_TRUE(queue_.on_cancel(cancelled));
  EXPECT_FALSE(queue_.on_cancel(cancelled));
  EXPECT_TRUE(queue_.expire(Time{} + Duration::seconds(4)).empty());
  EXPECT_EQ(queue_.expire(Time{} + Duration::seconds(5)).size(), 1u);
  EXPECT_TRUE(queue_.empty());
}

TEST_F(FairQueueTest, WorkAheadIsWhatFairSharingServesFirst) {
  arrive(kAnn, 100, 100);
  EXPECT_EQ(queue_.work_ahead(kAnn, 0), 10'000);
  EXPECT_EQ(queue_.work_ahead(kBob, 0), 100) << "one of Ann's, then Bob's";
  arrive(kBob, 100, 3);
  EXPECT_EQ(queue_.work_ahead(kBob, 0), 300 + 300 + 100);
}

/// A server with `slots` sequences that makes a token of each a step.
class Server {
 public:
  Server(FairQueue& queue, size_t tenants, size_t slots)
      : served(tenants, 0), queue_(queue), slots_(slots) {}

  void step(Time now, const std::function<int64_t(const QueuedRequest&)>& output_of) {
    while (running_.size() < slots_) {
      const auto next = queue_.take(now);
      if (!next) break;
      served[next->tenant.index()] += queue_.options().tokens.input * next->input_tokens;
      running_.push_back({next->tenant, output_of(*next)});
    }
    for (Running& running : running_) {
      queue_.on_tokens(running.tenant, 0, 1);
      served[running.tenant.index()] += queue_.options().tokens.output;
      --running.left;
    }
    std::erase_if(running_, [](const Running& running) { return running.left <= 0; });
  }

  std::vector<int64_t> served;  ///< weighted tokens

 private:
  struct Running {
    TenantId tenant;
    int64_t left;
  };
  FairQueue& queue_;
  const size_t slots_;
  std::vector<Running> running_;
};

/// The largest difference of service over any span in which two tenants both waited all along.
class GapWatch {
 public:
  explicit GapWatch(size_t tenants) : tenants_(tenants), spans_(tenants * tenants) {}

  void observe(const FairQueue& queue, const std::vector<double>& served) {
    for (size_t f = 0; f < tenants_; ++f)
      for (size_t g = f + 1; g < tenants_; ++g) {
        Span& span = spans_[f * tenants_ + g];
        const bool both = queue.waiting(TenantId{static_cast<uint32_t>(f)}) > 0 &&
                          queue.waiting(TenantId{static_cast<uint32_t>(g)}) > 0;
        const double difference = served[f] - served[g];
        if (!both) {
          span.open = false;
          continue;
        }
        if (!span.open) span = {true, difference, difference};
        span.low = std::min(span.low, difference);
        span.high = std::max(span.high, difference);
        worst = std::max(worst, span.high - span.low);
        ++observed;
      }
  }

  double worst = 0;
  int64_t observed = 0;

 private:
  struct Span {
    bool open = false;
    double low = 0, high = 0;
  };
  const size_t tenants_;
  std::vector<Span> spans_;
};

constexpr int64_t kMaxInput = 400, kMaxOutput = 120;

/// 27 tenants: the first floods, the others come and go.
void check_gap(uint64_t seed, const std::vector<int64_t>& weights_milli, int steps) {
  const size_t tenants = weights_milli.size();
  constexpr size_t kSlots = 8;
  Rng rng(seed);
  FairQueue queue({});
  for (uint32_t i = 0; i < tenants; ++i) queue.on_tenant(TenantId{i}, weights_milli[i]);
  Server server(queue, tenants, kSlots);
  GapWatch gap(tenants);
  uint64_t id = 0;
  for (int step = 0; step < steps; ++step) {
    const Time now{step};
    const auto arrive = [&](size_t tenant) {
      queue.on_arrival({.id = ++id,
                        .tenant = TenantId{static_cast<uint32_t>(tenant)},
                        .input_tokens = static_cast<int64_t>(1 + rng.below(kMaxInput)),
                        .arrived = now});
    };
    for (int burst = 0; burst < 2; ++burst) arrive(0);
    for (size_t tenant = 1; tenant < tenants; ++tenant)
      if (rng.below(400) == 0)
        for (uint64_t n = 1 + rng.below(8); n > 0; --n) arrive(tenant);
    server.step(
        now, [&](const QueuedRequest&) { return static_cast<int64_t>(1 + rng.below(kMaxOutput)); });
    std::vector<double> normalised(tenants);
    for (size_t i = 0; i < tenants; ++i)
      normalised[i] =
          static_cast<double>(server.served[i]) * 1000 / static_cast<double>(weights_milli[i]);
    gap.observe(queue, normalised);
  }
  const double min_weight = static_cast<double>(*std::ranges::min_element(weights_milli)) / 1000;
  const double bound =
      FairQueue::gap_bound(queue.options().tokens, kMaxInput, kSlots * kMaxOutput, min_weight);
  EXPECT_LE(gap.worst, bound) << "seed " << seed;
  EXPECT_GT(gap.observed, 100) << "hardly anybody waited: nothing was tested";
}

TEST(FairQueueBound, HoldsFor27TenantsOfWhichOneFloods) {
  check_gap(1, std::vector<int64_t>(27, 1000), 20'000);
}

RC_GTEST_PROP(FairQueueBound, HoldsForAnySeedAndWeights, ()) {
  const uint64_t seed = *rc::gen::inRange<uint64_t>(0, 1u << 30);
  const auto weights = *rc::gen::container<std::vector<int64_t>>(
      5, rc::gen::element<int64_t>(500, 1000, 2000, 4000));
  check_gap(seed, weights, 3'000);
}

RC_GTEST_PROP(FairQueueBound, EverythingThatArrivesIsTakenOnce, ()) {
  const uint64_t seed = *rc::gen::inRange<uint64_t>(0, 1u << 30);
  Rng rng(seed);
  FairQueue queue({});
  std::vector<QueuedRequest> inside;
  size_t arrived = 0, left = 0;
  for (int step = 0; step < 300; ++step) {
    const Time now{step};
    switch (rng.below(4)) {
      case 0:
      case 1:
        inside.push_back({.id = ++arrived,
                          .tenant = TenantId{static_cast<uint32_t>(rng.below(5))},
                          .priority = static_cast<int>(rng.below(3)),
                          .input_tokens = static_cast<int64_t>(rng.below(100)),
                          .arrived = now,
                          .expires = now + Duration::nanoseconds(50)});
        queue.on_arrival(inside.back());
        break;
      case 2:
        if (const auto taken = queue.take(now)) {
          RC_ASSERT(std::erase_if(inside, [&](const auto& r) { return r.id == taken->id; }) == 1u);
          ++left;
        }
        break;
      default:
        for (const auto& gone : queue.expire(now)) {
          RC_ASSERT(std::erase_if(inside, [&](const auto& r) { return r.id == gone.id; }) == 1u);
          ++left;
        }
        if (!inside.empty() && rng.below(2) == 0) {
          RC_ASSERT(queue.on_cancel(inside.back()));
          inside.pop_back();
          ++left;
        }
    }
    RC_ASSERT(queue.size() == inside.size());
    RC_ASSERT(arrived == left + inside.size());
  }
}

}  // namespace
}  // namespace berth::core
