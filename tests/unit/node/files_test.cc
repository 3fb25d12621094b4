#include "node/files.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace berth::node {
namespace {

class RewriteRecord : public ::testing::Test {
 protected:
  RewriteRecord() {
    std::string pattern = (std::filesystem::temp_directory_path() / "berth-files-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~RewriteRecord() override { std::filesystem::remove_all(folder_); }

  std::string path() const { return folder_ + "/record"; }
  ino_t inode() const {
    struct stat status{};
    EXPECT_EQ(::stat(path().c_str(), &status), 0);
    return status.st_ino;
  }

  std::string folder_;
};

TEST_F(RewriteRecord, MakesTheFile) {
  ASSERT_TRUE(rewrite_record(path(), "{}"));
  EXPECT_EQ(read_file(path()), "{}");
}

TEST_F(RewriteRecord, KeepsTheFileAndBlanksWhatWasLonger) {
  ASSERT_TRUE(rewrite_record(path(), R"({"stage":"starting"})"));
  const ino_t before = inode();
  ASSERT_TRUE(rewrite_record(path(), "{}"));
  EXPECT_EQ(read_file(path()), "{}" + std::string(18, ' '));
  ASSERT_TRUE(rewrite_record(path(), R"({"stage":"running","longer":true})"));
  EXPECT_EQ(read_file(path()), R"({"stage":"running","longer":true})");
  EXPECT_EQ(inode(), before);
}

TEST_F(RewriteRecord, WhatOneWriteCouldDivideIsReplacedWhole) {
  const std::string large(5000, 'x');
  ASSERT_TRUE(rewrite_record(path(), "{}"));
  const std::ifstream keeps_the_inode(path());
  const ino_t small = inode();
  ASSERT_TRUE(rewrite_record(path(), large));
  EXPECT_EQ(read_file(path()), large);
  EXPECT_NE(inode(), small);
  ASSERT_TRUE(rewrite_record(path(), "{}"));
  EXPECT_EQ(read_file(path()), "{}");
}

}  // namespace
}  // namespace berth::node
