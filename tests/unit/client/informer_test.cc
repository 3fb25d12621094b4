#include "client/informer.h"

#include <deque>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace berth::client {
namespace {

using objects::find_string;

SharedJson object(std::string_view name, std::string_view version) {
  return std::make_shared<const Json>(JsonObject{
      {"metadata", JsonObject{{"namespace", "ns"}, {"name", name}, {"resourceVersion", version}}}});
}

/// Answers lists from a script, and hands out the watches for a test to play.
class ScriptedClient final : public ApiClient {
 public:
  class Silent final : public Watch {};

  std::deque<Result<List>> lists;
  struct Opened {
    std::string since;
    OnEvent on_event;
    OnEnd on_end;
  };
  std::vector<Opened> watches;

  void list(Target, ListOptions, OnList done) override {
    if (lists.empty()) return done(fail(ErrorCode::kUnavailable, "no more lists"));
    Result<List> next = std::move(lists.front());
    lists.pop_front();
    done(std::move(next));
  }
  std::unique_ptr<Watch> watch(Target, WatchOptions options, OnEvent on_event,
                               OnEnd on_end) override {
    watches.push_back({options.resource_version, std::move(on_event), std::move(on_end)});
    return std::make_unique<Silent>();
  }
  void get(Target, OnObject) override {}
  void create(Target, Json, WriteOptions, OnObject) override {}
  void update(Target, Json, WriteOptions, OnObject) override {}
  void patch(Target, PatchType, Json, WriteOptions, OnObject) override {}
  void remove(Target, DeleteOptions, OnObject) override {}
};

class InformerTest : public testing::Test {
 protected:
  InformerTest() {
    Informer::Options options;
    options.first_retry = Duration::milliseconds(1);
    Informer::Handlers handlers;
    handlers.added = [this](const SharedJson& o) { tell('+', *o); };
    handlers.updated = [this](const SharedJson&, const SharedJson& o) { tell('~', *o); };
    handlers.deleted = [this](const SharedJson& o) { tell('-', *o); };
    handlers.synced = [this] { story_ += '!'; };
    handlers.failed = [this](const Error&) { story_ += '?'; };
    informer_ = std::make_unique<Informer>(client_, loop_, options, handlers);
  }
  void tell(char mark, const Json& o) {
    story_ += mark;
    story_ += find_string(o, {"metadata", "name"});
  }
  static List state(std::vector<SharedJson> items, std::string version) {
    return {std::move(items), std::move(version), {}};
  }
  /// Runs the loop until the number of watches is reached, then what was posted.
  void run_until_watches(size_t count) {
    std::function<void()> check = [&] {
      if (client_.watches.size() >= count) return loop_.stop();
      loop_.after(Duration::milliseconds(1), check);
    };
    loop_.post(check);
    loop_.run();
  }
  void settle() {
    loop_.stop();
    loop_.run();
  }
  static WatchEvent event(WatchEvent::Type type, SharedJson o) {
    return {type, std::move(o), false};
  }

  ScriptedClient client_;
  platform::EventLoop loop_;
  std::string story_;
  std::unique_ptr<Informer> informer_;
};

TEST_F(InformerTest, TriesAgainUntilTheListWorks) {
  client_.lists = {fail(ErrorCode::kUnavailable, "down"), fail(ErrorCode::kTimeout, "slow"),
                   state({object("a", "1")}, "5")};
  informer_->start();
  run_until_watches(1);
  EXPECT_EQ(story_, "??+a!");
  EXPECT_EQ(client_.watches[0].since, "5");
  EXPECT_TRUE(informer_->synced());
}

TEST_F(InformerTest, ResumesAWatchThatEnded) {
  client_.lists = {state({}, "5")};
  informer_->start();
  run_until_watches(1);
  client_.watches[0].on_event(event(WatchEvent::Type::kAdded, object("a", "7")));
  client_.watches[0].on_end({});
  run_until_watches(2);
  EXPECT_EQ(client_.watches[1].since, "7");
  client_.watches[1].on_end(fail(ErrorCode::kUnavailable, "broken off"));
  run_until_watches(3);
  EXPECT_EQ(client_.watches[2].since, "7");
  EXPECT_EQ(story_, "!+a?");
}

TEST_F(InformerTest, ListsAnewWhenTheHistoryIsGone) {
  client_.lists = {state({object("a", "1"), object("b", "2"), object("c", "3")}, "5"),
                   state({object("a", "1"), object("b", "8"), object("d", "9")}, "9")};
  informer_->start();
  run_until_watches(1);
  story_.clear();
  client_.watches[0].on_end(fail(ErrorCode::kGone, "too old"));
  run_until_watches(2);
  // What did not change is not told again; what vanished meanwhile is.
  EXPECT_EQ(story_, "?~b+d-c");
  EXPECT_EQ(client_.watches[1].since, "9");
}

TEST_F(InformerTest, ABookmarkOnlyMovesThePlace) {
  client_.lists = {state({}, "5")};
  informer_->start();
  run_until_watches(1);
  client_.watches[0].on_event(event(WatchEvent::Type::kBookmark, object("", "42")));
  client_.watches[0].on_end({});
  run_until_watches(2);
  EXPECT_EQ(client_.watches[1].since, "42");
  EXPECT_EQ(story_, "!");
}

TEST_F(InformerTest, WhatComesAfterItsEndIsIgnored) {
  client_.lists = {state({}, "5")};
  informer_->start();
  run_until_watches(1);
  client_.watches[0].on_event(event(WatchEvent::Type::kAdded, object("a", "7")));
  informer_.reset();
  settle();
  EXPECT_EQ(story_, "!");
}

TEST_F(InformerTest, AHandlerMayEndIt) {
  Informer::Handlers handlers;
  handlers.added = [this](const SharedJson&) { informer_.reset(); };
  informer_ = std::make_unique<Informer>(client_, loop_, Informer::Options(), handlers);
  client_.lists = {state({object("a", "1"), object("b", "2")}, "5")};
  informer_->start();
  settle();
  EXPECT_EQ(informer_, nullptr);
}

}  // namespace
}  // namespace berth::client
