// What the gateway tells scaling.

#include <condition_variable>
#include <deque>
#include <mutex>

#include <gtest/gtest.h>

#include "gateway/demand_reporter.h"
#include "gateway/proxy/worker.h"
#include "objects/json_text.h"

namespace berth::gateway {
namespace {

constexpr Time kStart = Time{} + Duration::hours(1);
Time at(int64_t ms) {
  return kStart + Duration::milliseconds(ms);
}

TEST(AnswerTimes, AreComparedWithWhatIsAsked) {
  const Objective both{Duration::seconds(2), Duration::milliseconds(60)};
  const auto stream = [](int64_t first_ms, int64_t per_token_ms) {
    return AnswerTimes{.first_token = Duration::milliseconds(first_ms),
                       .per_token = Duration::milliseconds(per_token_ms),
                       .total = Duration::hours(1),
                       .output_tokens = 10};
  };
  const auto whole = [](int64_t total_ms, int64_t tokens) {
    return AnswerTimes{.first_token = {},
                       .per_token = {},
                       .total = Duration::milliseconds(total_ms),
                       .output_tokens = tokens};
  };
  EXPECT_TRUE(stream(2000, 60).within(both));
  EXPECT_FALSE(stream(2001, 60).within(both));
  EXPECT_FALSE(stream(2000, 61).within(both));
  EXPECT_TRUE(stream(2001, 61).within({}));
  EXPECT_TRUE(whole(2540, 10).within(both)) << "2 s and 9 gaps";
  EXPECT_FALSE(whole(2541, 10).within(both));
  EXPECT_FALSE(whole(2001, 10).within({Duration::seconds(2), {}}));
  const Objective whole_answer{{}, {}, Duration::seconds(20)};
  EXPECT_TRUE(whole(20'000, 10).within(whole_answer));
  EXPECT_FALSE(whole(20'001, 10).within(whole_answer));
  EXPECT_FALSE(stream(1, 1).within(whole_answer)) << "it took an hour";
}

TEST(DemandMeter, AddsUpRequestsAndTheTimeTheyAreThere) {
  DemandMeter meter;
  meter.on_arrival(10);
  meter.on_level(at(0), 1, 0);
  meter.on_arrival(20);
  meter.on_level(at(500), 1, 1);
  const documents::ModelDemand first = meter.take(at(1000));
  EXPECT_EQ(first.sample.arrivals, 2);
  EXPECT_EQ(first.sample.prompt_tokens, 30);
  EXPECT_EQ(first.sample.prompt_tokens2, 500);
  EXPECT_DOUBLE_EQ(first.sample.waiting, 0.5);
  EXPECT_DOUBLE_EQ(first.sample.concurrency, 1.5);
  meter.on_answer(10, 40, 7,
                  documents::ServedRequest{.request = {.prompt_tokens = 40, .output_tokens = 7}});
  meter.on_arrival(10);
  meter.on_level(at(2000), 0, 0);
  const documents::ModelDemand second = meter.take(at(3000));
  EXPECT_EQ(second.sample.prompt_tokens, 40) << "estimates were four times too low";
  EXPECT_EQ(second.sample.ended, 1);
  EXPECT_EQ(second.sample.output_tokens, 7);
  EXPECT_DOUBLE_EQ(second.sample.concurrency, 2) << "both were there for another second";
  EXPECT_EQ(second.served.size(), 1u);
}

TEST(Traffic, TellsWhichPodAnswered) {
  Traffic traffic({}, [](Traffic::Wake) {}, [] {});
  const Traffic::Tenant& ann = *traffic.tenant("ann", 1000);
  auto upstream = *parse_upstream("http://10.0.0.7:8080");
  upstream.pod = "default/chat-small-1";
  const core::ReplicaId replica =
      traffic.add_replica("chat", std::make_shared<const Upstream>(std::move(upstream)));
  traffic.set_ready("chat", replica, true, at(0));
  const Traffic::Accepted accepted =
      traffic.accept("chat", ann, {.id = 1, .input_tokens = 12}, at(1));
  const Traffic::End end{.use = {.input_tokens = 12, .output_tokens = 5},
                         .queued = {},
                         .first_token = {},
                         .per_token = {},
                         .total = Duration::milliseconds(500),
                         .served = core::ServedRequest{.prompt_tokens = 12, .output_tokens = 5}};
  traffic.end(*accepted.model, ann, accepted.verdict.dispatch, 0, end, at(501));
  const auto demand = traffic.take_demand(at(1000));
  ASSERT_EQ(demand.at(0).served.size(), 1u);
  EXPECT_EQ(demand[0].served[0].pod, "default/chat-small-1");
  EXPECT_EQ(demand[0].served[0].request.in_flight, 1);
}

/// Takes reports, and answers them when told to.
class Control {
 public:
  DemandReporter::Send send() {
    return [this](std::string body, std::function<void(Result<>)> done) {
      const std::lock_guard lock(mutex_);
      auto reports = documents::reports_from_document(objects::parse_json(body)->value);
      EXPECT_TRUE(reports);
      arrived_.push_back({std::move(*reports), std::move(done)});
      changed_.notify_all();
    };
  }

  struct Arrived {
    std::vector<documents::DemandReport> reports;
    std::function<void(Result<>)> done;
  };
  Arrived next() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(20), [this] { return !arrived_.empty(); }));
    Arrived arrived = std::move(arrived_.front());
    arrived_.pop_front();
    return arrived;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Arrived> arrived_;
};

class StoppedClock final : public Clock {
 public:
  Time now() const override { return Time{} + Duration::seconds(1'700'000'000); }
};

TEST(DemandReporter, TellsOfAHeldRequestAtOnceAndOfNothingTwice) {
  Control control;
  StoppedClock clock;
  std::unique_ptr<DemandReporter> reporter;
  Traffic traffic({}, [](Traffic::Wake) {}, [&] { reporter->urge(); });
  traffic.add_model("chat");
  reporter =
      std::make_unique<DemandReporter>(traffic, clock, control.send(), [](const std::string&) {});
  const Traffic::Tenant& ann = *traffic.tenant("ann", 1000);
  const core::ServingRequest request{.id = 1, .input_tokens = 12};
  traffic.accept("chat", ann, request, Worker::now());

  Control::Arrived first = control.next();
  ASSERT_EQ(first.reports.size(), 1u);
  EXPECT_EQ(first.reports[0].second, 1'700'000'000);
  EXPECT_TRUE(first.reports[0].models.at(0).held);
  EXPECT_EQ(first.reports[0].models.at(0).sample.arrivals, 1);

  first.done(fail(ErrorCode::kUnavailable, "down"));
  Control::Arrived again = control.next();
  ASSERT_GE(again.reports.size(), 2u) << "the window's end came with it";
  EXPECT_EQ(again.reports[0].sequence, first.reports[0].sequence);
  EXPECT_EQ(again.reports[1].models.at(0).sample.arrivals, 0);

  again.done({});
  Control::Arrived rest = control.next();
  EXPECT_GT(rest.reports[0].sequence, again.reports.back().sequence);
  EXPECT_TRUE(rest.reports[0].models.at(0).held) << "it still waits";
  reporter.reset();
  rest.done({});
}

}  // namespace
}  // namespace berth::gateway
