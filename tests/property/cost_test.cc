#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "core/cost/ledger.h"

namespace berth::core {
namespace {

constexpr Time kStart{1'700'000'000'000'000'000};

Time at_ns(int64_t ns) {
  return {kStart.ns + ns};
}

/// Any prices and any holds that fit their nodes: allocated + idle + overhead is the total, idle is
/// never negative, every dimension shows the same sum, and the parts of a span add up to the span
/// but for the rounding of what is shown.
RC_GTEST_PROP(CostLedger, PartsAddUpToTheTotal, ()) {
  const int64_t span_ns = 3'600'000'000'000;
  const auto moment = [&] { return *rc::gen::inRange<int64_t>(0, span_ns); };
  PriceList prices;
  for (const char* of : {"H100", "L4", "cpu", kNodeHour})
    for (int i = *rc::gen::inRange(0, 4); i > 0; --i)
      prices.set(of, {*rc::gen::inRange<int64_t>(0, 90'000'000)}, at_ns(moment()));
  CostLedger ledger;
  int pods = 0;
  for (int node = *rc::gen::inRange(1, 4); node > 0; --node) {
    const std::string name = "node-" + std::to_string(node);
    ledger.on_node(name, {{"H100", 3000}, {"L4", 1000}, {"cpu", 8000}, {kNodeHour, 1000}},
                   at_ns(0));
    // Each slot of the node is held by one pod after the other.
    for (int slot = 0; slot < 3; ++slot) {
      int64_t now = moment();
      for (int i = *rc::gen::inRange(0, 4); i > 0 && now < span_ns; --i) {
        const int64_t end = now + *rc::gen::inRange<int64_t>(1, span_ns);
        const std::string uid = std::to_string(++pods);
        CostInterval held{.pod_uid = uid,
                          .start = at_ns(now),
                          .end = std::nullopt,
                          .node = name,
                          .owner = {"q" + std::to_string(pods % 3), "t" + std::to_string(pods % 2),
                                    "m" + std::to_string(pods % 4), uid},
                          .overhead = pods % 5 == 0,
                          .holds = {{"H100", *rc::gen::inRange<int64_t>(0, 1001)},
                                    {"L4", *rc::gen::inRange<int64_t>(0, 334)},
                                    {"cpu", *rc::gen::inRange<int64_t>(0, 2667)},
                                    {kNodeHour, *rc::gen::inRange<int64_t>(0, 334)}}};
        for (int twice = 0; twice < 2; ++twice) {
          ledger.on_start(held);
          if (end < span_ns) ledger.on_end(uid, held.start, at_ns(end));
        }
        now = end;
      }
    }
  }
  const Time from = at_ns(moment()), to = at_ns(span_ns);
  const CostReport all = ledger.report(prices, CostDimension::kQueue, from, to);
  RC_ASSERT(all.allocated + all.idle + all.overhead == all.total);
  RC_ASSERT(all.idle.micro >= 0);
  for (const CostDimension by :
       {CostDimension::kTenant, CostDimension::kModel, CostDimension::kJob}) {
    const CostReport same = ledger.report(prices, by, from, to);
    RC_ASSERT(same.total == all.total);
    RC_ASSERT(same.overhead == all.overhead);
    RC_ASSERT(same.allocated + same.idle + same.overhead == same.total);
    Money rows;
    for (const CostReport::Row& row : same.rows) rows = rows + row.cost;
    RC_ASSERT(rows == same.allocated);
  }
  const Time middle = at_ns((from.ns - kStart.ns + span_ns) / 2);
  const Money first = ledger.report(prices, CostDimension::kQueue, from, middle).total;
  const Money second = ledger.report(prices, CostDimension::kQueue, middle, to).total;
  const int64_t apart = all.total.micro - (first + second).micro;
  RC_ASSERT(apart >= 0 && apart <= 1);
}

}  // namespace
}  // namespace berth::core
