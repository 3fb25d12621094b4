#include "core/serving/dispatcher.h"

#include <gtest/gtest.h>

namespace berth::core {
namespace {

using Kind = ModelDispatcher::Verdict::Kind;
constexpr TenantId kAnn{0}, kBob{1};

Time at(double s) {
  return Time{} + Duration::from_seconds(s);
}

class DispatcherTest : public ::testing::Test {
 protected:
  ReplicaId ready_replica(int max_in_flight) {
    const ReplicaId replica = dispatcher_.on_replica(++identity_, max_in_flight);
    dispatcher_.on_replica_ready(replica, true);
    return replica;
  }
  ModelDispatcher::Verdict ask(TenantId tenant, Time now = {}, int64_t input = 100) {
    return dispatcher_.on_request({.id = ++id_, .tenant = tenant, .input_tokens = input}, now);
  }

  ModelDispatcher dispatcher_{{.max_waiting = 8}};
  uint64_t id_ = 0, identity_ = 0;
};

TEST_F(DispatcherTest, GoesToTheReplicaWithLeastOutstandingWork) {
  const ReplicaId first = ready_replica(4);
  const ReplicaId second = ready_replica(4);
  EXPECT_EQ(ask(kAnn, {}, 1000).dispatch.replica, first);
  EXPECT_EQ(ask(kAnn).dispatch.replica, second);
  EXPECT_EQ(ask(kAnn).dispatch.replica, second) << "200 are less than 1000";
}

TEST_F(DispatcherTest, WaitsForRoomAndIsNextWhenThereIsSome) {
  ready_replica(1);
  const auto running = ask(kAnn);
  EXPECT_EQ(running.kind, Kind::kDispatched);
  EXPECT_EQ(ask(kAnn).kind, Kind::kQueued);
  EXPECT_FALSE(dispatcher_.next({}));
  dispatcher_.on_end(running.dispatch, 100, 10, 0, at(1));
  EXPECT_EQ(dispatcher_.next(at(1))->request.id, 2u);
  EXPECT_FALSE(dispatcher_.next(at(1)));
}

TEST_F(DispatcherTest, OneWhoFloodsLeavesRoomForOthers) {
  ready_replica(1);
  ask(kAnn);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(ask(kAnn).kind, Kind::kQueued);
  const auto refused = ask(kAnn);
  EXPECT_EQ(refused.kind, Kind::kRefused);
  EXPECT_EQ(refused.refusal.reason, RefusalReason::kQueueFull);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ask(kBob).kind, Kind::kQueued) << i;
  EXPECT_EQ(ask(kBob).kind, Kind::kRefused) << "half of the queue is Bob's";
}

TEST_F(DispatcherTest, HoldsWhileNothingIsReadyAndGivesUpAtTheLimit) {
  const ReplicaId replica = dispatcher_.on_replica(1, 4);
  EXPECT_EQ(ask(kAnn).kind, Kind::kQueued);
  EXPECT_EQ(ask(kBob, at(1)).kind, Kind::kQueued);
  EXPECT_TRUE(dispatcher_.expire(at(119)).empty());
  const auto refused = dispatcher_.expire(at(120));
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].second.reason, RefusalReason::kStartLimit);
  dispatcher_.on_replica_ready(replica, true);
  EXPECT_EQ(dispatcher_.next(at(120.5))->request.tenant, kBob);
}

TEST_F(DispatcherTest, RefusesAtOnceWhereNothingCanStart) {
  ModelDispatcher fixed({.can_start = false});
  const auto verdict = fixed.on_request({.id = 1, .tenant = kAnn}, {});
  EXPECT_EQ(verdict.kind, Kind::kRefused);
  EXPECT_EQ(verdict.refusal.reason, RefusalReason::kNoReplica);
}

TEST_F(DispatcherTest, RefusesWhatWouldBeginAfterItsDeadline) {
  ready_replica(1);
  // Learns that 100 tokens of work take a second.
  auto running = ask(kAnn).dispatch;
  for (int i = 0; i < 8; ++i) ask(kAnn);
  for (int i = 1; i <= 4; ++i) {
    dispatcher_.on_end(running, 100, 0, 0, at(i));
    running = *dispatcher_.next(at(i));
  }
  EXPECT_NEAR(dispatcher_.wait_for(kAnn, 0).to_seconds(), 4, 0.1);
  ServingRequest request{.id = 50, .tenant = kAnn, .input_tokens = 100, .deadline = at(7)};
  const auto refused = dispatcher_.on_request(request, at(4));
  EXPECT_EQ(refused.kind, Kind::kRefused);
  EXPECT_EQ(refused.refusal.reason, RefusalReason::kDeadline);
  EXPECT_EQ(retry_after_s(refused.refusal.retry_after), 4);
  request.tenant = kBob;
  EXPECT_EQ(dispatcher_.on_request(request, at(4)).kind, Kind::kQueued) << "his turn comes sooner";
}

TEST_F(DispatcherTest, ARetryKeepsItsPlaceAndIsNotChargedTwice) {
  const ReplicaId broken = ready_replica(1);
  const auto first = ask(kAnn);
  ask(kAnn);
  dispatcher_.on_replica_ready(broken, false);
  dispatcher_.on_retry(first.dispatch);
  EXPECT_EQ(dispatcher_.in_flight(), 0);
  EXPECT_FALSE(dispatcher_.next({}));
  dispatcher_.on_replica_ready(broken, true);
  EXPECT_EQ(dispatcher_.next({})->request.id, first.dispatch.request.id);
  EXPECT_EQ(dispatcher_.queue().counter(kAnn), 100);
}

TEST_F(DispatcherTest, AGoneReplicaFinishesAndItsPlaceIsUsedAgain) {
  const ReplicaId old = ready_replica(2);
  const auto running = ask(kAnn);
  dispatcher_.on_replica_gone(old);
  EXPECT_NE(dispatcher_.on_replica(7, 2), old) << "it still answers";
  dispatcher_.on_end(running.dispatch, 1, 1, 0, at(1));
  EXPECT_EQ(dispatcher_.on_replica(8, 2), old);
}

TEST_F(DispatcherTest, PacedPromptsWaitThoughThereIsRoom) {
  // 100 tokens are 0.1 s of work: the next may come 0.2 s later, sooner once it has waited.
  dispatcher_.on_pacer(PromptPacer{.rates = {.per_prompt_token_s = 1e-3}, .ttft = at(2) - Time{}});
  ready_replica(4);
  EXPECT_EQ(dispatcher_.wake_at(), Time{INT64_MAX}) << "nobody waits";
  EXPECT_EQ(ask(kAnn, at(1)).kind, Kind::kDispatched);
  EXPECT_EQ(ask(kAnn, at(1.1)).kind, Kind::kQueued);
  EXPECT_EQ(dispatcher_.wake_at(), at(1.2));
  EXPECT_FALSE(dispatcher_.next(at(1.199)));
  EXPECT_EQ(dispatcher_.next(at(1.2))->request.id, 2u);

  EXPECT_EQ(ask(kAnn, at(1.3)).kind, Kind::kQueued);
  const ReplicaId other = ready_replica(4);
  EXPECT_EQ(dispatcher_.next(at(1.3))->replica, other) << "it has had no prompt yet";
}

TEST(Routing, APrefixStaysWithItsReplicaUntilThatOneIsOverloaded) {
  std::vector<ReplicaLoad> replicas;
  for (uint64_t i = 1; i <= 4; ++i)
    replicas.push_back({.identity = i * 77, .ready = true, .max_in_flight = 100});
  const size_t home = *choose_replica(replicas, 12345, {});
  for (ReplicaLoad& replica : replicas) replica.in_flight = 4;
  EXPECT_EQ(choose_replica(replicas, 12345, {}), home);
  replicas[home].in_flight = 8;
  EXPECT_NE(choose_replica(replicas, 12345, {}), home);
}

TEST(Routing, FewPrefixesMoveWhenAReplicaLeaves) {
  std::vector<ReplicaLoad> replicas;
  for (uint64_t i = 1; i <= 5; ++i)
    replicas.push_back({.identity = i * 991, .ready = true, .max_in_flight = 100});
  int moved = 0;
  for (uint64_t prefix = 1; prefix <= 1000; ++prefix) {
    replicas[2].ready = true;
    const size_t before = *choose_replica(replicas, prefix, {});
    replicas[2].ready = false;
    const size_t after = *choose_replica(replicas, prefix, {});
    moved += before != after && before != 2 ? 1 : 0;
  }
  EXPECT_EQ(moved, 0);
}

TEST(DrainRate, IdleTimeDoesNotMakeItSlow) {
  DrainRate rate;
  rate.on_work(100, true, at(0));
  for (int i = 1; i <= 5; ++i) rate.on_work(100, i < 5, at(i));
  EXPECT_NEAR(rate.work_per_s(), 100, 1);
  rate.on_work(100, true, at(500));
  rate.on_work(100, true, at(501));
  EXPECT_NEAR(rate.work_per_s(), 100, 1);
}

}  // namespace
}  // namespace berth::core
