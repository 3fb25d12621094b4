#include "node/images/host_image.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "node/images/public_tree.h"

namespace berth::node {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::Not;

class FixedClock final : public Clock {
 public:
  Time now() const override { return now_; }
  void advance(Duration by) { now_ = now_ + by; }

 private:
  Time now_{Duration::seconds(1000).ns};
};

/// A machine of a few files, made in a temporary directory.
class HostImageTest : public ::testing::Test {
 protected:
  HostImageTest() {
    std::string pattern = (fs::temp_directory_path() / "berth-host-XXXXXX").string();
    base_ = ::mkdtemp(pattern.data());
    ::chmod(base_.c_str(), 0755);
    put("/usr/bin/tool", "tool");
    put("/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    put("/etc/shadow", "root:secret\n", 0640);
    put("/etc/hosts", "127.0.0.1 localhost\n");
    put("/root/.ssh/id", "key", 0600);
    put("/home/alice/notes", "notes");
    fs::create_symlink("usr/bin", root() + "/bin");
  }
  ~HostImageTest() override { fs::remove_all(base_); }

  std::string root() const { return base_ + "/root"; }
  std::string state() const { return base_ + "/state"; }

  void put(const std::string& path, const std::string& text, mode_t mode = 0644) {
    fs::create_directories(fs::path(root() + path).parent_path());
    std::ofstream(root() + path) << text;
    ::chmod((root() + path).c_str(), mode);
  }

  static std::string read(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  ImageHandle build(std::vector<std::string> extra = {}, std::vector<std::string> hidden = {}) {
    HostImage image({.state_dir = state(),
                     .extra_dirs = std::move(extra),
                     .hidden = std::move(hidden),
                     .root = root()},
                    clock_);
    auto handle = image.ensure();
    EXPECT_TRUE(handle.has_value()) << (handle ? "" : handle.error().to_string());
    return handle.value_or(ImageHandle{});
  }

  static auto shows(const std::string& target) {
    return Contains(Field(&ImageMount::target, target));
  }

  FixedClock clock_;
  std::string base_;
};

TEST_F(HostImageTest, ShowsTheSystemReadOnlyAndNoHomes) {
  const ImageHandle image = build();
  EXPECT_THAT(image.mounts, shows("/usr"));
  EXPECT_THAT(image.mounts, shows("/etc"));
  EXPECT_THAT(image.mounts, Not(shows("/home")));
  EXPECT_THAT(image.mounts, Not(shows("/root")));
  for (const ImageMount& mount : image.mounts) EXPECT_TRUE(mount.read_only) << mount.target;
  EXPECT_EQ(fs::read_symlink(image.rootfs + "/bin"), "usr/bin");
  EXPECT_TRUE(fs::is_directory(image.rootfs + "/usr"));
  EXPECT_TRUE(fs::is_empty(image.rootfs + "/home"));
  EXPECT_TRUE(fs::is_empty(image.rootfs + "/root"));
  EXPECT_THAT(image.scratch_dirs, ElementsAre("/tmp", "/var/tmp", "/run"));
  EXPECT_TRUE(image.always_read_only);
}

TEST_F(HostImageTest, EtcHasNoCredentials) {
  put("/etc/ssl/private/site.key", "key", 0600);
  put("/etc/ssl/certs/ca.pem", "certificate");
  put("/etc/ssh/ssh_host_rsa_key", "key", 0644);  // excluded by name, whatever the permissions
  put("/etc/kubernetes/admin.conf", "token");
  const ImageHandle image = build();
  const std::string etc = state() + "/etc";
  EXPECT_EQ(read(etc + "/passwd"), "root:x:0:0::/root:/bin/sh\n");
  EXPECT_EQ(read(etc + "/ssl/certs/ca.pem"), "certificate");
  EXPECT_FALSE(fs::exists(etc + "/shadow"));
  EXPECT_FALSE(fs::exists(etc + "/ssl/private"));
  EXPECT_FALSE(fs::exists(etc + "/ssh/ssh_host_rsa_key"));
  EXPECT_FALSE(fs::exists(etc + "/kubernetes"));
}

TEST_F(HostImageTest, EtcHasPlacesForThePodsOwnFiles) {
  fs::create_symlink("../run/systemd/resolve/stub-resolv.conf", root() + "/etc/resolv.conf");
  build();
  for (const char* name : {"hosts", "hostname", "resolv.conf"}) {
    const std::string path = state() + "/etc/" + name;
    EXPECT_FALSE(fs::is_symlink(path)) << name;
    EXPECT_EQ(read(path), "") << name;
  }
}

TEST_F(HostImageTest, FollowsChangesOfEtc) {
  HostImage image({.state_dir = state(), .extra_dirs = {}, .hidden = {}, .root = root()}, clock_);
  ASSERT_TRUE(image.ensure());
  put("/etc/passwd", "changed\n");
  put("/etc/new.conf", "new");
  put("/etc/now-private", "x", 0600);
  fs::remove(root() + "/etc/hosts");
  clock_.advance(Duration::minutes(1));
  ASSERT_TRUE(image.ensure());
  EXPECT_EQ(read(state() + "/etc/passwd"), "changed\n");
  EXPECT_EQ(read(state() + "/etc/new.conf"), "new");
  EXPECT_TRUE(fs::exists(state() + "/etc/hosts"));  // a placeholder stays

  ::chmod((root() + "/etc/new.conf").c_str(), 0600);
  clock_.advance(Duration::minutes(1));
  ASSERT_TRUE(image.ensure());
  EXPECT_FALSE(fs::exists(state() + "/etc/new.conf"));
}

TEST_F(HostImageTest, OptShowsOnlyWhatEverybodyMayRead) {
  put("/opt/engine/bin/server", "elf");
  put("/opt/vault/token", "secret");
  ::chmod((root() + "/opt/vault").c_str(), 0700);
  put("/opt/engine/etc/password", "secret", 0600);
  const ImageHandle image = build();
  EXPECT_THAT(image.mounts, shows("/opt/engine"));
  EXPECT_THAT(image.mounts, Not(shows("/opt/vault")));
  EXPECT_THAT(image.mounts, shows("/opt/engine/etc/password"));  // covered by an empty file
  EXPECT_EQ(read(image.mounts.back().source), "");
}

TEST_F(HostImageTest, HidesBerthsOwnDataBelowAnExtraDirectory) {
  put("/data/models/llama.gguf", "weights");
  put("/data/berth/token", "secret");
  const ImageHandle image = build({"/data"}, {root() + "/data/berth"});
  EXPECT_THAT(image.mounts, shows("/data"));
  ASSERT_EQ(image.mounts.back().target, "/data/berth");
  EXPECT_TRUE(fs::is_empty(image.mounts.back().source));
}

TEST_F(HostImageTest, AMissingExtraDirectoryIsLeftOut) {
  EXPECT_THAT(build({"/nowhere"}).mounts, Not(shows("/nowhere")));
}

TEST(MountPointsBelow, ParentsFirstAndUnescaped) {
  const std::string mountinfo =
      "30 25 0:26 / /usr/share/deep/er rw - ext4 /dev/a rw\n"
      "29 25 0:26 / /usr/share rw - nfs a:/b rw\n"
      "31 25 0:26 / /usr/with\\040blank rw - ext4 /dev/a rw\n"
      "32 25 0:26 / /usrlocal rw - ext4 /dev/a rw\n"
      "short line\n";
  EXPECT_THAT(mount_points_below(mountinfo, "/usr"),
              ElementsAre("/usr/share", "/usr/share/deep/er", "/usr/with blank"));
}

TEST(MatchesGlob, StarStaysInOneName) {
  EXPECT_TRUE(matches_glob("ssh/ssh_host_*", "ssh/ssh_host_rsa_key"));
  EXPECT_FALSE(matches_glob("ssh/ssh_host_*", "ssh/ssh_config"));
  EXPECT_FALSE(matches_glob("*", "a/b"));
  EXPECT_TRUE(matches_glob("a*c", "abc"));
}

}  // namespace
}  // namespace berth::node
