// What every ApiClient promises, asked of each: in-process, over HTTPS, and through the local
// socket.

#include <condition_variable>
#include <mutex>
#include <optional>

#include "client/https_client.h"
#include "client/informer.h"
#include "platform/event_loop.h"
#include "tests/unit/apiserver/test_server.h"

namespace berth::apiserver {
namespace {

using client::ApiClient;
using client::Target;
using client::WatchEvent;
using objects::find_string;

enum class Way { kInProcess, kHttps, kLocalSocket };

/// What a watch said, for a test's thread to wait on.
class Recorder {
 public:
  ApiClient::OnEvent on_event() {
    return [this](WatchEvent event) {
      const std::lock_guard lock(mutex_);
      if (event.initial_events_end) initial_end_ = true;
      if (event.type != WatchEvent::Type::kBookmark) events_.push_back(std::move(event));
      changed_.notify_all();
    };
  }
  ApiClient::OnEnd on_end() {
    return [this](Result<> how) {
      const std::lock_guard lock(mutex_);
      end_ = std::move(how);
      changed_.notify_all();
    };
  }

  bool wait_for(size_t count) {
    return wait([&] { return events_.size() >= count; });
  }
  bool wait_for_initial_end() {
    return wait([&] { return initial_end_; });
  }
  std::optional<Result<>> wait_for_end() {
    wait([&] { return end_.has_value(); });
    const std::lock_guard lock(mutex_);
    return end_;
  }
  /// "+a ~a -a": added, modified, deleted.
  std::string story() {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (const WatchEvent& event : events_) {
      if (!text.empty()) text += ' ';
      text += event.type == WatchEvent::Type::kAdded      ? '+'
              : event.type == WatchEvent::Type::kModified ? '~'
                                                          : '-';
      text += find_string(*event.object, {"metadata", "name"});
    }
    return text;
  }

 private:
  bool wait(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), condition);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<WatchEvent> events_;
  bool initial_end_ = false;
  std::optional<Result<>> end_;
};

class ApiClientContract : public ServerTest, public testing::WithParamInterface<Way> {
 protected:
  void SetUp() override {
    start();
    if (GetParam() != Way::kInProcess) {
      auto connection =
          GetParam() == Way::kLocalSocket
              ? Result<client::Connection>(client::Connection::local(server_->socket()))
              : client::Connection::from_kubeconfig(server_->kubeconfig());
      ASSERT_TRUE(connection) << connection.error().to_string();
      auto made = client::HttpsClient::create(*connection);
      ASSERT_TRUE(made) << made.error().to_string();
      https_ = *std::move(made);
    }
    api_.emplace(client());
  }
  void TearDown() override {
    api_.reset();
    https_.reset();
  }

  ApiClient& client() { return https_ ? *https_ : server_->client(); }
  const Target all_{kConfigMaps, "default", "", ""};
  static Target one(std::string name) { return {kConfigMaps, "default", std::move(name), ""}; }
  static Json labelled(std::string_view name, std::string_view color) {
    Json object = config_map(name);
    objects::ensure_object(object, {"metadata", "labels"})["color"] = color;
    return object;
  }

  std::unique_ptr<client::HttpsClient> https_;
};

INSTANTIATE_TEST_SUITE_P(All, ApiClientContract,
                         testing::Values(Way::kInProcess, Way::kHttps, Way::kLocalSocket),
                         [](const auto& tested) {
                           return tested.param == Way::kInProcess ? "InProcess"
                                  : tested.param == Way::kHttps   ? "Https"
                                                                  : "LocalSocket";
                         });

TEST_P(ApiClientContract, CreatesGetsUpdatesAndDeletes) {
  const auto made = api_->create(all_, config_map("a"));
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(**api_->get(one("a")), **made);
  Json changed = **made;
  objects::ensure_object(changed, {"data"})["key"] = "2";
  const auto updated = api_->update(one("a"), changed);
  ASSERT_TRUE(updated) << updated.error().to_string();
  EXPECT_EQ(find_string(**updated, {"data", "key"}), "2");
  EXPECT_TRUE(api_->remove(one("a")));
  EXPECT_EQ(api_->get(one("a")).error().code, ErrorCode::kNotFound);
}

TEST_P(ApiClientContract, ErrorsSayWhatKindTheyAre) {
  EXPECT_EQ(api_->get(one("none")).error().code, ErrorCode::kNotFound);
  const auto made = api_->create(all_, config_map("a"));
  ASSERT_TRUE(made);
  EXPECT_EQ(api_->create(all_, config_map("a")).error().code, ErrorCode::kAlreadyExists);
  ASSERT_TRUE(api_->patch(one("a"), client::PatchType::kMerge, json(R"({"data":{"key":"2"}})")));
  EXPECT_EQ(api_->update(one("a"), **made).error().code, ErrorCode::kConflict);
  EXPECT_EQ(api_->create(all_, json(R"({"metadata":{"name":"Not A Name"}})")).error().code,
            ErrorCode::kInvalid);
  EXPECT_EQ(api_->get({{"", "v1", "nothings"}, "default", "a", ""}).error().code,
            ErrorCode::kNotFound);
  client::DeleteOptions stale;
  stale.precondition_uid = "other";
  EXPECT_EQ(api_->remove(one("a"), stale).error().code, ErrorCode::kConflict);
}

TEST_P(ApiClientContract, PatchesInThreeWays) {
  ASSERT_TRUE(api_->create(all_, config_map("a")));
  ASSERT_TRUE(api_->patch(one("a"), client::PatchType::kJson,
                          json(R"([{"op":"add","path":"/data/j","value":"1"}])")));
  ASSERT_TRUE(api_->patch(one("a"), client::PatchType::kMerge, json(R"({"data":{"m":"1"}})")));
  const auto all = api_->patch(one("a"), client::PatchType::kStrategicMerge,
                               json(R"({"data":{"s":"1","key":null}})"));
  ASSERT_TRUE(all);
  EXPECT_EQ(objects::find_object(**all, {"data"}),
            json(R"({"j":"1","m":"1","s":"1"})").as_object());
}

TEST_P(ApiClientContract, ListsInPagesOfOneState) {
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(api_->create(all_, config_map(name)));
  client::ListOptions options;
  options.limit = 2;
  const auto first = api_->list(all_, options);
  ASSERT_TRUE(first) << first.error().to_string();
  ASSERT_EQ(first->items.size(), 2U);
  // What happens between two pages is not in the second.
  ASSERT_TRUE(api_->remove(one("c")));
  ASSERT_TRUE(api_->create(all_, config_map("d")));
  options.continue_token = first->continue_token;
  const auto second = api_->list(all_, options);
  ASSERT_TRUE(second) << second.error().to_string();
  ASSERT_EQ(second->items.size(), 1U);
  EXPECT_EQ(find_string(*second->items[0], {"metadata", "name"}), "c");
  EXPECT_EQ(second->continue_token, "");
  EXPECT_EQ(second->resource_version, first->resource_version);
}

TEST_P(ApiClientContract, ListsBySelectors) {
  ASSERT_TRUE(api_->create(all_, labelled("a", "red")));
  ASSERT_TRUE(api_->create(all_, labelled("b", "blue")));
  client::ListOptions options;
  options.label_selector = "color in (red)";
  EXPECT_EQ(api_->list(all_, options)->items.size(), 1U);
  options.label_selector = "color";
  options.field_selector = "metadata.name=b";
  EXPECT_EQ(api_->list(all_, options)->items.size(), 1U);
  options.field_selector = "spec.color=b";
  EXPECT_EQ(api_->list(all_, options).error().code, ErrorCode::kInvalid);
}

TEST_P(ApiClientContract, WatchesFromAVersionOn) {
  const auto made = api_->create(all_, config_map("a"));
  Recorder recorder;
  client::WatchOptions options;
  options.resource_version = find_string(**made, {"metadata", "resourceVersion"});
  const auto watch = client().watch(all_, options, recorder.on_event(), recorder.on_end());
  ASSERT_TRUE(api_->create(all_, config_map("b")));
  ASSERT_TRUE(api_->patch(one("a"), client::PatchType::kMerge, json(R"({"data":{"key":"2"}})")));
  ASSERT_TRUE(api_->remove(one("b")));
  ASSERT_TRUE(recorder.wait_for(3));
  EXPECT_EQ(recorder.story(), "+b ~a -b");
}

TEST_P(ApiClientContract, WatchesTheStateFirst) {
  ASSERT_TRUE(api_->create(all_, config_map("a")));
  Recorder recorder;
  client::WatchOptions options;
  options.send_initial_events = true;
  const auto watch = client().watch(all_, options, recorder.on_event(), recorder.on_end());
  ASSERT_TRUE(recorder.wait_for_initial_end());
  EXPECT_EQ(recorder.story(), "+a");
  ASSERT_TRUE(api_->create(all_, config_map("b")));
  ASSERT_TRUE(recorder.wait_for(2));
  EXPECT_EQ(recorder.story(), "+a +b");
}

TEST_P(ApiClientContract, AWatchWithASelectorSeesThingsComeAndGo) {
  Recorder recorder;
  client::WatchOptions options;
  options.label_selector = "color=red";
  options.send_initial_events = true;
  const auto watch = client().watch(all_, options, recorder.on_event(), recorder.on_end());
  ASSERT_TRUE(recorder.wait_for_initial_end());
  ASSERT_TRUE(api_->create(all_, labelled("a", "blue")));
  const auto paint = [&](std::string_view color) {
    return api_->patch(
        one("a"), client::PatchType::kMerge,
        JsonObject{{"metadata", JsonObject{{"labels", JsonObject{{"color", color}}}}}});
  };
  ASSERT_TRUE(paint("red"));
  ASSERT_TRUE(paint("blue"));
  ASSERT_TRUE(api_->remove(one("a")));
  ASSERT_TRUE(api_->create(all_, labelled("z", "red")));
  ASSERT_TRUE(recorder.wait_for(3));
  EXPECT_EQ(recorder.story(), "+a -a +z");
}

TEST_P(ApiClientContract, AWatchFromTheFutureOrOfNothingEnds) {
  Recorder recorder;
  client::WatchOptions options;
  options.resource_version = "not a number";
  const auto watch = client().watch(all_, options, recorder.on_event(), recorder.on_end());
  const auto end = recorder.wait_for_end();
  ASSERT_TRUE(end.has_value());
  ASSERT_FALSE(*end);
  EXPECT_EQ(end->error().code, ErrorCode::kInvalid);
}

TEST_P(ApiClientContract, NoCallbackAfterAWatchIsGone) {
  std::atomic<bool> gone = false;
  std::atomic<bool> late = false;
  client::WatchOptions options;
  options.send_initial_events = true;
  auto watch = client().watch(
      all_, options, [&](const WatchEvent&) { late = late || gone; }, [&](const Result<>&) {});
  std::thread writer([&] {
    for (int i = 0; i < 50; ++i) {
      EXPECT_TRUE(api_->create(all_, config_map("m" + std::to_string(i))));
    }
  });
  ASSERT_TRUE(api_->create(all_, config_map("x")));
  watch.reset();
  gone = true;
  writer.join();
  EXPECT_FALSE(late);
}

TEST_P(ApiClientContract, AnInformerKeepsUp) {
  ASSERT_TRUE(api_->create(all_, labelled("a", "red")));
  platform::EventLoop loop;
  std::mutex mutex;
  std::condition_variable changed;
  std::string story;
  bool synced = false;
  const auto tell = [&](char mark, const Json& object) {
    const std::lock_guard lock(mutex);
    story += mark;
    story += find_string(object, {"metadata", "name"});
    changed.notify_all();
  };
  client::Informer::Handlers handlers;
  handlers.added = [&](const SharedJson& object) { tell('+', *object); };
  handlers.updated = [&](const SharedJson&, const SharedJson& object) { tell('~', *object); };
  handlers.deleted = [&](const SharedJson& object) { tell('-', *object); };
  handlers.synced = [&] {
    const std::lock_guard lock(mutex);
    synced = true;
    changed.notify_all();
  };
  std::unique_ptr<client::Informer> informer;
  std::vector<SharedJson> red;
  loop.post([&] {
    client::Informer::Options options;
    options.collection = all_;
    informer = std::make_unique<client::Informer>(client(), loop, options, handlers);
    informer->add_index("color", [](const Json& object) {
      return std::vector<std::string>{
          std::string(find_string(object, {"metadata", "labels", "color"}))};
    });
    informer->start();
  });
  std::thread thread([&] { loop.run(); });
  const auto wait_for = [&](const std::function<bool()>& condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20), condition);
  };
  EXPECT_TRUE(wait_for([&] { return synced; }));
  EXPECT_TRUE(api_->create(all_, labelled("b", "red")));
  EXPECT_TRUE(api_->patch(one("a"), client::PatchType::kMerge,
                          json(R"({"metadata":{"labels":{"color":"blue"}}})")));
  EXPECT_TRUE(api_->remove(one("b")));
  EXPECT_TRUE(wait_for([&] { return story == "+a+b~a-b"; })) << story;
  loop.post([&] {
    red = informer->by_index("color", "red");
    EXPECT_EQ(informer->by_index("color", "blue").size(), 1U);
    EXPECT_EQ(informer->objects().size(), 1U);
    informer.reset();
  });
  loop.stop();
  thread.join();
  EXPECT_TRUE(red.empty());
}

}  // namespace
}  // namespace berth::apiserver
