#include <future>

#include <sys/stat.h>

#include "tests/unit/apiserver/test_server.h"

namespace berth::apiserver {
namespace {

using client::Target;
using objects::find_int;
using objects::find_string;

TEST_F(ServerTest, ItComesBackOnThePortThatItHad) {
  const std::string address = server_->address();
  restart();
  EXPECT_EQ(server_->address(), address);
}

TEST_F(ServerTest, AnIpv6AddressIsWrittenAsInUrls) {
  const auto started = Server::start({folder_.path() / "v6", "::1", 0, &clock_});
  if (!started) GTEST_SKIP() << started.error().to_string();
  EXPECT_EQ((*started)->address().substr(0, sizeof "https://[::1]:" - 1), "https://[::1]:");
}

TEST_F(ServerTest, WhereItCannotListenItLeavesNothing) {
  const auto port =
      static_cast<uint16_t>(std::stoi(server_->address().substr(sizeof "https://127.0.0.1")));
  const std::filesystem::path fresh = folder_.path() / "not" / "yet";
  const auto taken = Server::start({fresh, "127.0.0.1", port, &clock_});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::kUnavailable);
  const auto not_here = Server::start({fresh, "192.0.2.1", 0, &clock_});
  ASSERT_FALSE(not_here);
  EXPECT_EQ(not_here.error().code, ErrorCode::kInvalid);
  EXPECT_FALSE(std::filesystem::exists(fresh.parent_path()));
}

TEST_F(ServerTest, ASecondOneHearsOfTheFirstNotOfItsPort) {
  const auto port =
      static_cast<uint16_t>(std::stoi(server_->address().substr(sizeof "https://127.0.0.1")));
  for (const uint16_t asked : {uint16_t{0}, port}) {
    const auto second = Server::start({folder_.path() / "data", "127.0.0.1", asked, &clock_});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kConflict);
    EXPECT_NE(second.error().what.find("another Berth uses this data folder"), std::string::npos);
  }
}

TEST_F(ServerTest, CreatesAndGets) {
  const auto made = api_->create({kConfigMaps, "default", "", ""}, config_map("a"));
  ASSERT_TRUE(made.has_value()) << made.error().to_string();
  EXPECT_NE(find_string(**made, {"metadata", "uid"}), "");
  EXPECT_NE(find_string(**made, {"metadata", "creationTimestamp"}), "");
  const auto got = api_->get({kConfigMaps, "default", "a", ""});
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(**got, **made);
}

TEST_F(ServerTest, RefusesWhatExists) {
  ASSERT_TRUE(api_->create({kConfigMaps, "default", "", ""}, config_map("a")));
  const auto again = api_->create({kConfigMaps, "default", "", ""}, config_map("a"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
}

TEST_F(ServerTest, RefusesAnUnknownNamespace) {
  const auto made = api_->create({kConfigMaps, "nowhere", "", ""}, config_map("a"));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kNotFound);
}

TEST_F(ServerTest, UpdatesWithOptimisticConcurrency) {
  const auto made = api_->create({kConfigMaps, "default", "", ""}, config_map("a"));
  ASSERT_TRUE(made);
  Json changed = **made;
  objects::ensure_object(changed, {"data"})["key"] = "2";
  const Target target{kConfigMaps, "default", "a", ""};
  ASSERT_TRUE(api_->update(target, changed));
  const auto stale = api_->update(target, changed);
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code, ErrorCode::kConflict);
}

TEST_F(ServerTest, AnUpdateThatChangesNothingKeepsTheVersion) {
  const auto made = api_->create({kConfigMaps, "default", "", ""}, config_map("a"));
  const auto same = api_->update({kConfigMaps, "default", "a", ""}, **made);
  ASSERT_TRUE(same);
  EXPECT_EQ(**same, **made);
}

TEST_F(ServerTest, PodStatusIsASubresource) {
  ASSERT_TRUE(api_->create({kPods, "default", "", ""}, pod("p")));
  const auto merged = api_->patch({kPods, "default", "p", ""}, client::PatchType::kMerge,
                                  json(R"({"status":{"phase":"Running"}})"));
  ASSERT_TRUE(merged) << merged.error().to_string();
  EXPECT_EQ(find_string(**merged, {"status", "phase"}), "Pending");
  const auto running = api_->patch({kPods, "default", "p", "status"}, client::PatchType::kMerge,
                                   json(R"({"status":{"phase":"Running"}})"));
  ASSERT_TRUE(running) << running.error().to_string();
  EXPECT_EQ(find_string(**running, {"status", "phase"}), "Running");
  EXPECT_EQ(find_int(**running, {"metadata", "generation"}), 1);
}

TEST_F(ServerTest, BindsAPodOnce) {
  ASSERT_TRUE(api_->create({kPods, "default", "", ""}, pod("p")));
  const Json binding = json(
      R"({"metadata":{"name":"p","annotations":{"berth.dev/devices":"0"}},"target":{"kind":"Node","name":"n1"}})");
  const Target target{kPods, "default", "p", "binding"};
  const auto bound = api_->create(target, binding);
  ASSERT_TRUE(bound) << bound.error().to_string();
  const auto got = api_->get({kPods, "default", "p", ""});
  EXPECT_EQ(find_string(**got, {"spec", "nodeName"}), "n1");
  EXPECT_EQ(find_string(**got, {"metadata", "annotations", "berth.dev/devices"}), "0");
  const auto again = api_->create(target, binding);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kConflict);
}

TEST_F(ServerTest, ABoundPodWaitsForItsNode) {
  ASSERT_TRUE(api_->create({kPods, "default", "", ""}, pod("p")));
  ASSERT_TRUE(api_->create({kPods, "default", "p", "binding"},
                           json(R"({"target":{"kind":"Node","name":"n1"}})")));
  const Target target{kPods, "default", "p", ""};
  ASSERT_TRUE(api_->remove(target));
  const auto going = api_->get(target);
  ASSERT_TRUE(going);
  EXPECT_EQ(find_int(**going, {"metadata", "deletionGracePeriodSeconds"}), 30);
  ASSERT_TRUE(api_->remove(target, {.grace = Duration::seconds(0)}));
  EXPECT_EQ(api_->get(target).error().code, ErrorCode::kNotFound);
}

TEST_F(ServerTest, AnUnboundPodGoesAtOnce) {
  ASSERT_TRUE(api_->create({kPods, "default", "", ""}, pod("p")));
  ASSERT_TRUE(api_->remove({kPods, "default", "p", ""}));
  EXPECT_EQ(api_->get({kPods, "default", "p", ""}).error().code, ErrorCode::kNotFound);
}

TEST_F(ServerTest, SurvivesARestart) {
  const auto made = api_->create({kConfigMaps, "default", "", ""}, config_map("a"));
  ASSERT_TRUE(made);
  restart();
  const auto got = api_->get({kConfigMaps, "default", "a", ""});
  ASSERT_TRUE(got);
  EXPECT_EQ(**got, **made);
}

TEST_F(ServerTest, RefusesASecondServerOnTheFolder) {
  const auto second = Server::start({folder_.path() / "data", "127.0.0.1", 0, &clock_});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
}

TEST_F(ServerTest, StoppingEndsWatchesAndLaterCalls) {
  std::promise<Result<>> end;
  const auto watch = server_->client().watch(
      {kConfigMaps, "default", "", ""}, {}, [](const client::WatchEvent&) {},
      [&](Result<> how) { end.set_value(std::move(how)); });
  server_->stop();
  auto ended = end.get_future();
  ASSERT_EQ(ended.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_EQ(ended.get().error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(api_->get({kConfigMaps, "default", "a", ""}).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(api_->create({kConfigMaps, "default", "", ""}, config_map("a")).error().code,
            ErrorCode::kUnavailable);
}

TEST_F(ServerTest, KeepsSecretsToItsOwner) {
  struct stat status{};
  ASSERT_EQ(::stat(server_->kubeconfig().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  ASSERT_EQ(::stat((folder_.path() / "data" / "store").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
}

}  // namespace
}  // namespace berth::apiserver
