#include "node/images/shared_files.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace berth::node {
namespace {

namespace fs = std::filesystem;

class ShareFiles : public ::testing::Test {
 protected:
  ShareFiles() {
    std::string pattern = (fs::temp_directory_path() / "berth-share-XXXXXX").string();
    base_ = ::mkdtemp(pattern.data());
    for (const std::string& tree : {a(), b()}) fs::create_directories(tree + "/lib");
  }
  ~ShareFiles() override { fs::remove_all(base_); }

  std::string a() const { return base_ + "/a"; }
  std::string b() const { return base_ + "/b"; }
  /// With a time of its own, so that only what a test changes differs.
  static void put(const std::string& path, const std::string& content, time_t seconds = 1000) {
    std::ofstream(path) << content;
    const timespec times[2] = {{seconds, 5}, {seconds, 5}};
    EXPECT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  bool shared(const std::string& path) const {
    struct stat one{};
    struct stat other{};
    EXPECT_EQ(::lstat((a() + path).c_str(), &one), 0);
    EXPECT_EQ(::lstat((b() + path).c_str(), &other), 0);
    return one.st_ino == other.st_ino;
  }

  std::string base_;
};

TEST_F(ShareFiles, WhatIsTheSameBecomesOneFile) {
  put(a() + "/lib/x", "content");
  put(b() + "/lib/x", "content");
  const auto folder_time = fs::last_write_time(b() + "/lib");
  EXPECT_GT(share_files(b(), a()), 0);
  EXPECT_TRUE(shared("/lib/x"));
  EXPECT_EQ(fs::last_write_time(b() + "/lib"), folder_time);
  EXPECT_EQ(share_files(b(), a()), 0) << "nothing is left to share";
}

TEST_F(ShareFiles, WhatDiffersInAnythingStaysItsOwn) {
  for (const std::string& tree : {a(), b()}) {
    const bool second = tree == b();
    put(tree + "/content", second ? "one" : "two");
    put(tree + "/size", second ? "one" : "three");
    put(tree + "/time", "same", second ? 1000 : 2000);
    put(tree + "/mode", "same");
    fs::permissions(tree + "/mode", second ? fs::perms::owner_all : fs::perms::owner_read);
  }
  fs::create_symlink("content", a() + "/kind");
  put(b() + "/kind", "one");
  put(b() + "/alone", "one");
  EXPECT_EQ(share_files(b(), a()), 0);
  for (const char* path : {"/content", "/size", "/time", "/mode", "/kind"})
    EXPECT_FALSE(shared(path)) << path;
}

TEST(LayersInCommon, CountsFromTheFirst) {
  const auto config = [](const std::string& ids) {
    return R"({"rootfs":{"diff_ids":[)" + ids + "]}}";
  };
  EXPECT_EQ(layers_in_common(config(R"("a","b","c")"), config(R"("a","b","d")")), 2U);
  EXPECT_EQ(layers_in_common(config(R"("a")"), config(R"("b","a")")), 0U);
  EXPECT_EQ(layers_in_common("no JSON", config(R"("a")")), 0U);
}

}  // namespace
}  // namespace berth::node
