#include "apiserver/storage/store.h"

#include <fstream>
#include <future>

#include <sys/mount.h>

#include "tests/unit/apiserver/test_server.h"

namespace berth::apiserver {
namespace {

constexpr Store::Limits kSmall{8, 1 << 20};

class StoreTest : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open(Store::Limits limits = kSmall) {
    store_.reset();
    auto opened = Store::open(file(), limits);
    ASSERT_TRUE(opened) << opened.error().to_string();
    store_ = *std::move(opened);
  }
  std::filesystem::path file() const { return folder_.path() / "state.db"; }

  static StoreKey key(std::string name) { return {"things", "ns", std::move(name)}; }
  Result<> write(Store::Work work) {
    std::promise<Result<>> done;
    store_->write(std::move(work), [&](Result<> kept) { done.set_value(std::move(kept)); });
    return done.get_future().get();
  }
  Result<> put(const std::string& name, const std::string& value) {
    return write([&](Transaction& transaction) {
      transaction.put(key(name), JsonObject{{"value", value}});
      return true;
    });
  }
  Result<> erase(const std::string& name) {
    return write([&](Transaction& transaction) {
      transaction.remove(key(name), *transaction.get(key(name))->tree());
      return true;
    });
  }
  std::string value(const std::string& name) const {
    const StoredPtr stored = store_->get(key(name));
    return stored ? std::string(objects::find_string(*stored->tree(), {"value"})) : "none";
  }
  std::string names(Revision revision = 0) const {
    Store::ListQuery query;
    query.resource = "things";
    query.revision = revision;
    const auto listed = store_->list(query);
    if (!listed) return listed.error().to_string();
    std::string text;
    for (const auto& item : listed->items) text += item.key.name;
    return text;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, ATransactionThatSaysNoChangesNothing) {
  const Revision before = store_->revision();
  ASSERT_TRUE(write([](Transaction& transaction) {
    transaction.put(key("a"), JsonObject());
    return false;
  }));
  EXPECT_EQ(value("a"), "none");
  EXPECT_EQ(store_->revision(), before);
}

TEST_F(StoreTest, ATransactionSeesItsOwnAndEarlierChanges) {
  std::string seen;
  ASSERT_TRUE(write([&](Transaction& transaction) {
    transaction.put(key("a"), JsonObject{{"value", "1"}});
    transaction.put(key("b"), JsonObject{{"value", "2"}});
    transaction.remove(key("a"), JsonObject());
    transaction.for_each("things", "", [&](const StoreKey& at, const StoredPtr&) {
      seen += at.name;
      return true;
    });
    return true;
  }));
  EXPECT_EQ(seen, "b");
  EXPECT_EQ(names(), "b");
}

TEST_F(StoreTest, RevisionsGoOnAfterARestart) {
  ASSERT_TRUE(put("a", "1"));
  ASSERT_TRUE(erase("a"));
  const Revision before = store_->revision();
  open();
  EXPECT_EQ(store_->revision(), before);
  ASSERT_TRUE(put("b", "1"));
  EXPECT_EQ(store_->revision(), before + 1);
}

TEST_F(StoreTest, RevisionsGoOnAfterCompactionAndRestart) {
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(put("a", std::to_string(i)));
    ASSERT_TRUE(put("gone", std::to_string(i)));
    ASSERT_TRUE(erase("gone"));
  }
  const Revision before = store_->revision();
  open();
  EXPECT_EQ(store_->revision(), before);
  EXPECT_EQ(names(), "a");
  EXPECT_EQ(value("a"), "49");
}

TEST_F(StoreTest, ShowsPastStates) {
  ASSERT_TRUE(put("a", "1"));
  ASSERT_TRUE(put("b", "1"));
  const Revision then = store_->revision();
  ASSERT_TRUE(erase("a"));
  ASSERT_TRUE(put("c", "1"));
  EXPECT_EQ(names(), "bc");
  EXPECT_EQ(names(then), "ab");
  open();
  EXPECT_EQ(names(then), "ab");
}

TEST_F(StoreTest, WhatIsTooOldIsGoneAlsoAfterARestart) {
  ASSERT_TRUE(put("a", "1"));
  const Revision then = store_->revision();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(put("b", std::to_string(i)));
  const auto expect_gone = [&] {
    const auto watch = store_->subscribe("things", "", then, {nullptr, [](const ChangePtr&) {}});
    ASSERT_FALSE(watch);
    EXPECT_EQ(watch.error().code, ErrorCode::kGone);
  };
  expect_gone();
  open();
  expect_gone();
}

TEST_F(StoreTest, AWatchResumesAfterARestart) {
  ASSERT_TRUE(put("a", "1"));
  const Revision then = store_->revision();
  ASSERT_TRUE(put("b", "1"));
  ASSERT_TRUE(erase("a"));
  open();
  std::promise<void> both;
  std::string story;
  const auto watch =
      store_->subscribe("things", "", then, {nullptr, [&](const ChangePtr& change) {
                                               story += change->key.name;
                                               if (change->type == Change::Type::kDeleted) {
                                                 both.set_value();
                                               }
                                             }});
  ASSERT_TRUE(watch) << watch.error().to_string();
  ASSERT_EQ(both.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_EQ(story, "ba");
}

TEST_F(StoreTest, ManyWritersAreAllKeptInOrder) {
  constexpr int kWriters = 4;
  constexpr int kEach = 100;
  Revision last = 0;
  bool ordered = true;
  const auto watch = store_->subscribe("things", "", 0, {nullptr, [&](const ChangePtr& change) {
                                                           ordered =
                                                               ordered && change->revision() > last;
                                                           last = change->revision();
                                                         }});
  ASSERT_TRUE(watch);
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = 0; i < kEach; ++i) {
        EXPECT_TRUE(put(std::to_string(writer) + "-" + std::to_string(i), "x"));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  Store::ListQuery query;
  query.resource = "things";
  EXPECT_EQ(store_->list(query)->items.size(), static_cast<size_t>(kWriters * kEach));
  store_->stop();
  EXPECT_TRUE(ordered);
  EXPECT_EQ(last, store_->revision());
}

TEST_F(StoreTest, RefusesADamagedFileAndLeavesItAlone) {
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(put("a" + std::to_string(i), std::string(500, 'x')));
  store_.reset();
  std::string bytes;
  {
    std::ifstream in(file(), std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  const size_t at = bytes.find(std::string(100, 'x'), bytes.size() / 2);
  ASSERT_NE(at, std::string::npos);
  bytes[at + 50] = 'y';
  std::ofstream(file(), std::ios::binary) << bytes;
  const auto opened = Store::open(file(), kSmall);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().to_string(), testing::HasSubstr("damaged"));
  EXPECT_THAT(opened.error().fix, testing::HasSubstr("backup"));
}

TEST_F(StoreTest, RefusesWhatIsNoDatabase) {
  store_.reset();
  std::filesystem::remove(file().string() + "-wal");
  std::ofstream(file(), std::ios::binary) << std::string(5000, 'z');
  const auto opened = Store::open(file(), kSmall);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().to_string(), testing::HasSubstr("damaged"));
}

/// A file system of one megabyte, while it lives.
class SmallDisk {
 public:
  explicit SmallDisk(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::filesystem::create_directory(folder_);
    mounted_ = ::mount("berth-test", folder_.c_str(), "tmpfs", 0, "size=1m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }

 private:
  std::filesystem::path folder_;
  bool mounted_ = false;
};

TEST_F(StoreTest, AFullDiskRefusesWritesAndGoesOnReading) {
  const std::filesystem::path folder = folder_.path() / "small";
  const SmallDisk disk(folder);
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small disk needs root";
  auto opened = Store::open(folder / "state.db", Store::Limits());
  ASSERT_TRUE(opened) << opened.error().to_string();
  store_ = *std::move(opened);
  Result<> kept;
  int stored = 0;
  for (; kept && stored < 100; ++stored) {
    kept = put("a" + std::to_string(stored), std::string(20'000, 'x'));
  }
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(kept.error().fix, "");
  EXPECT_EQ(value("a0").size(), 20'000U);
  EXPECT_EQ(value("a" + std::to_string(stored - 1)), "none");
  EXPECT_NE(store_->write_trouble(), "");
  opened = Result<std::unique_ptr<Store>>();
  store_.reset();
  const auto again = Store::open(folder / "state.db", Store::Limits());
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_NE((*again)->get(key("a0")), nullptr);
}

}  // namespace
}  // namespace berth::apiserver
