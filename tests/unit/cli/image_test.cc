#include <CLI/CLI.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/images/image_shelf.h"

namespace berth::cli {
namespace {

using ::testing::HasSubstr;

class FixedClock final : public Clock {
 public:
  Time now() const override { return Time{Duration::hours(500'000).ns}; }
};

struct Shelf final : ImageShelf {
  Result<ShelvedImage> import(const std::string& path, const std::string& name) override {
    imported = path + " as " + name;
    return ShelvedImage{.name = "docker.io/library/" + name,
                        .digest = "sha256:0123456789abcdef",
                        .size_bytes = 3 << 20,
                        .stored = {},
                        .origin = "imported"};
  }
  Result<std::vector<ShelvedImage>> list() override {
    return std::vector<ShelvedImage>{{.name = "docker.io/library/a:1",
                                      .digest = "sha256:0123456789abcdef",
                                      .size_bytes = 3 << 20,
                                      .stored = FixedClock().now() - Duration::minutes(5),
                                      .origin = "pulled",
                                      .in_use = true}};
  }
  Result<> remove(const std::string& name) override {
    if (name == "used") return fail(ErrorCode::kConflict, "a container uses the image", name);
    removed += name + " ";
    return {};
  }
  static inline std::string imported;
  static inline std::string removed;
};

struct Ran {
  int exit_code = -1;
  std::string output;
  std::string errors;
};

Ran run(const std::string& line) {
  CLI::App root{"", "berth"};
  FixedClock clock;
  Ran ran;
  std::string opened;
  Shelf::imported.clear();
  Shelf::removed.clear();
  add_image(
      root,
      [&](const std::string& data) -> Result<std::unique_ptr<ImageShelf>> {
        if (data == "/none") return fail(ErrorCode::kForbidden, "images belong to root", data);
        return std::make_unique<Shelf>();
      },
      clock, ran.exit_code);
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  try {
    root.parse(line);
  } catch (const CLI::ParseError& error) {
    ran.exit_code = 2;
    ran.errors = error.what();
  }
  std::fflush(stdout);
  ran.output = ::testing::internal::GetCapturedStdout();
  ran.errors += ::testing::internal::GetCapturedStderr();
  return ran;
}

TEST(Image, ImportsUnderAName) {
  const Ran ran = run("image import x.tar --name trainer:1");
  EXPECT_EQ(ran.exit_code, 0) << ran.errors;
  EXPECT_EQ(Shelf::imported, "x.tar as trainer:1");
  EXPECT_EQ(ran.output, "docker.io/library/trainer:1 imported (0123456789ab, 3Mi)\n");
}

TEST(Image, ListsAsATable) {
  const Ran ran = run("image ls");
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_THAT(ran.output,
              HasSubstr("docker.io/library/a:1   0123456789ab   3Mi    5m    pulled   yes"));
  EXPECT_THAT(run("image ls -o wide").output, HasSubstr("sha256:0123456789abcdef"));
  EXPECT_EQ(run("image ls -o name").output, "docker.io/library/a:1\n");
  EXPECT_THAT(run("image ls -o json").output, HasSubstr(R"("inUse":true)"));
}

TEST(Image, RemovesSeveralAndStopsAtTheFirstThatFails) {
  const Ran ran = run("image rm a b used c");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_EQ(Shelf::removed, "a b ");
  EXPECT_THAT(ran.errors, HasSubstr("a container uses the image"));
}

TEST(Image, BadInput) {
  EXPECT_EQ(run("image").exit_code, 2);
  EXPECT_EQ(run("image import").exit_code, 2);
  EXPECT_EQ(run("image ls -o nonsense").exit_code, 2);
  EXPECT_EQ(run("image --data /none ls").exit_code, 1);
}

}  // namespace
}  // namespace berth::cli
