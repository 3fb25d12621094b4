#include "node/work_pool.h"

#include <future>
#include <string>

#include <gtest/gtest.h>

namespace berth::node {
namespace {

/// One thread that is held until everything is queued: the order in which it then works, a letter
/// for each piece.
class Order {
 public:
  Order() {
    std::promise<void> holds;
    pool_.run([&holds, held = hold_.get_future().share()] {
      holds.set_value();
      held.wait();
    });
    holds.get_future().wait();
  }
  void add(char letter, WorkPool::Turn turn) {
    pool_.run([this, letter] { order_ += letter; }, turn);
  }
  std::string work() {
    std::promise<void> done;
    // Once for each queue: whichever is last is the end.
    auto left = std::make_shared<int>(2);
    for (const auto turn : {WorkPool::Turn::kNext, WorkPool::Turn::kBegins})
      pool_.run(
          [left, &done] {
            if (--*left == 0) done.set_value();
          },
          turn);
    hold_.set_value();
    done.get_future().wait();
    return order_;
  }

 private:
  std::promise<void> hold_;
  std::string order_;
  WorkPool pool_{1};
};

TEST(WorkPool, WhatBeginsGivesWayToWhatCarriesOn) {
  Order order;
  order.add('a', WorkPool::Turn::kBegins);
  order.add('b', WorkPool::Turn::kBegins);
  order.add('1', WorkPool::Turn::kNext);
  order.add('2', WorkPool::Turn::kNext);
  EXPECT_EQ(order.work(), "12ab");
}

TEST(WorkPool, ButNotForEver) {
  Order order;
  order.add('a', WorkPool::Turn::kBegins);
  for (int i = 0; i < WorkPool::kGivesWay + 2; ++i) order.add('.', WorkPool::Turn::kNext);
  EXPECT_EQ(order.work(), std::string(WorkPool::kGivesWay, '.') + "a..");
}

}  // namespace
}  // namespace berth::node
