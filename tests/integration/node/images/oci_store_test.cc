#include "node/images/oci_store.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/process.h"
#include "tests/integration/node/isolated.h"

namespace berth::node {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RealClock final : public Clock {
 public:
  Time now() const override {
    return Time{std::chrono::duration_cast<std::chrono::nanoseconds>(
                    std::chrono::system_clock::now().time_since_epoch())
                    .count()};
  }
};

void run(std::vector<std::string> argv, const std::string& directory) {
  platform::ProcessOptions options;
  options.argv = std::move(argv);
  options.directory = directory;
  const auto result = platform::run_checked(options);
  EXPECT_TRUE(result) << (result ? "" : result.error().to_string());
}

class OciStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    for (const char* program : {"skopeo", "umoci", "tar", "busybox"}) {
      if (platform::find_program(program).empty()) GTEST_SKIP() << "needs " << program;
    }
    std::string pattern = (fs::temp_directory_path() / "berth-images-XXXXXX").string();
    base_ = ::mkdtemp(pattern.data());
    fs::create_directories(base_ + "/files/bin");
    fs::create_directories(base_ + "/files/etc");
    std::ofstream(base_ + "/files/etc/passwd") << "root:x:0:0::/root:/bin/sh\nme:x:5:6::/me:/\n";
    fs::copy_file(platform::find_program("busybox"), base_ + "/files/bin/busybox");
    run({"umoci", "init", "--layout", "layout"}, base_);
    run({"umoci", "new", "--image", "layout:t"}, base_);
    run({"umoci", "insert", "--image", "layout:t", "files/bin", "/bin"}, base_);
    run({"umoci", "insert", "--image", "layout:t", "files/etc", "/etc"}, base_);
    run({"umoci", "config", "--image", "layout:t", "--config.entrypoint", "/bin/busybox",
         "--config.cmd", "id", "--config.user", "me", "--config.env", "A=b"},
        base_);
    store_ = open();
  }
  void TearDown() override {
    store_.reset();
    if (!base_.empty()) fs::remove_all(base_);
  }

  std::unique_ptr<OciStore> open() const {
    auto store = OciStore::open(
        {.directory = base_ + "/images", .access = {}, .host_dirs = {}, .hidden = {base_}}, clock_,
        true);
    EXPECT_TRUE(store) << (store ? "" : store.error().to_string());
    return store ? *std::move(store) : nullptr;
  }

  size_t unpacked() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(base_ + "/images/unpacked"),
                                             fs::directory_iterator()));
  }
  bool work_is_empty() const { return fs::is_empty(base_ + "/images/work"); }

  RealClock clock_;
  std::string base_;
  std::unique_ptr<OciStore> store_;
};

TEST_F(OciStoreTest, ImportsALayoutAndHandsItOut) {
  const auto image = store_->import(base_ + "/layout", "tiny:1");
  ASSERT_TRUE(image) << image.error().to_string();
  EXPECT_EQ(image->reference, "docker.io/library/tiny:1");
  EXPECT_GT(image->size_bytes, 100'000);
  EXPECT_TRUE(work_is_empty());

  for (const PullPolicy policy :
       {PullPolicy::kAlways, PullPolicy::kIfNotPresent, PullPolicy::kNever}) {
    const auto handle = store_->ensure_image({"tiny:1", policy});
    ASSERT_TRUE(handle) << handle.error().to_string();
    EXPECT_TRUE(fs::exists(handle->rootfs + "/bin/busybox"));
    EXPECT_THAT(handle->config.entrypoint, ElementsAre("/bin/busybox"));
    EXPECT_THAT(handle->config.env, ::testing::Contains("A=b"));
    EXPECT_FALSE(handle->pulled);
    EXPECT_EQ(handle->config.user, "me");
  }
}

TEST_F(OciStoreTest, ImportsArchivesUnderTheNameTheyCarry) {
  run({"skopeo", "copy", "oci:layout:t", "oci-archive:oci.tar:team/app:2"}, base_);
  run({"skopeo", "copy", "oci:layout:t", "docker-archive:docker.tar:team/app:3"}, base_);
  ASSERT_TRUE(store_->import(base_ + "/oci.tar", ""));
  const auto docker = store_->import(base_ + "/docker.tar", "");
  ASSERT_TRUE(docker) << docker.error().to_string();
  EXPECT_EQ(docker->reference, "docker.io/team/app:3");
  EXPECT_TRUE(store_->ensure_image({"team/app:2", PullPolicy::kNever}));
  EXPECT_EQ(store_->list().size(), 2U);
}

TEST_F(OciStoreTest, TwoNamesShareOneUnpackedImage) {
  ASSERT_TRUE(store_->import(base_ + "/layout", "a"));
  ASSERT_TRUE(store_->import(base_ + "/layout", "b"));
  EXPECT_EQ(unpacked(), 1U);
  EXPECT_TRUE(store_->remove("a"));
  EXPECT_EQ(unpacked(), 1U);
  EXPECT_TRUE(store_->remove("b"));
  EXPECT_EQ(unpacked(), 0U);
  EXPECT_EQ(store_->remove("b").error().code, ErrorCode::kNotFound);
}

TEST_F(OciStoreTest, RefusesToRemoveWhatAContainerUses) {
  ASSERT_TRUE(store_->import(base_ + "/layout", "a"));
  run_isolated([&] {
    const auto handle = store_->ensure_image({"a", PullPolicy::kNever});
    ASSERT_TRUE(handle);
    for (const char* name : {"/upper", "/work", "/merged"})
      fs::create_directory("/run" + std::string(name));
    const std::string options =
        "lowerdir=" + handle->rootfs + ",upperdir=/run/upper,workdir=/run/work";
    ASSERT_EQ(::mount("overlay", "/run/merged", "overlay", 0, options.c_str()), 0);
    EXPECT_TRUE(fs::exists("/run/merged/bin/busybox"));
    platform::ProcessOptions container;  // of any process, in any mount table
    container.argv = {"busybox", "sleep", "60"};
    const auto pid = platform::spawn_process(container);
    ASSERT_TRUE(pid);
    const auto removed = store_->remove("a");
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().code, ErrorCode::kConflict);
    EXPECT_TRUE(store_->list()[0].in_use);
    ::kill(*pid, SIGKILL);
    (void)platform::wait_process(*pid, Duration::seconds(5));
    EXPECT_TRUE(store_->remove("a"));
  });
}

TEST_F(OciStoreTest, DamagedFilesAreClearErrorsAndLeaveNothing) {
  run({"skopeo", "copy", "oci:layout:t", "oci-archive:whole.tar:x:1"}, base_);
  std::ifstream whole(base_ + "/whole.tar", std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(whole), {}};
  std::ofstream(base_ + "/cut.tar", std::ios::binary) << bytes.substr(0, bytes.size() / 3);
  std::string flipped = bytes;
  for (size_t i = 0; i < 64; ++i) flipped[flipped.size() / 2 + i] ^= 0x55;
  std::ofstream(base_ + "/flipped.tar", std::ios::binary) << flipped;
  std::ofstream(base_ + "/text.tar") << "hello";
  run({"tar", "-cf", "plain.tar", "files"}, base_);
  for (const char* name :
       {"/cut.tar", "/flipped.tar", "/text.tar", "/plain.tar", "/nowhere.tar", "/files"}) {
    const auto image = store_->import(base_ + name, "x");
    ASSERT_FALSE(image) << name;
    EXPECT_EQ(image.error().code, ErrorCode::kInvalid) << name << image.error().to_string();
    EXPECT_FALSE(image.error().fix.empty()) << name << image.error().to_string();
  }
  EXPECT_THAT(store_->list(), IsEmpty());
  EXPECT_TRUE(work_is_empty());
  EXPECT_EQ(unpacked(), 0U);
}

TEST_F(OciStoreTest, WhatACrashLeftIsClearedAtTheNextStart) {
  fs::create_directories(base_ + "/images/work/abc/rootfs");
  store_ = open();
  EXPECT_TRUE(work_is_empty());
}

TEST_F(OciStoreTest, NamesThatCannotBeAreRefused) {
  EXPECT_EQ(store_->ensure_image({"Bad Name", PullPolicy::kAlways}).error().code,
            ErrorCode::kInvalid);
  EXPECT_FALSE(store_->import(base_ + "/layout", "host"));
  EXPECT_THAT(store_->import(base_ + "/layout", "").error().to_string(), HasSubstr("--name"));
  const auto never = store_->ensure_image({"absent", PullPolicy::kNever});
  EXPECT_EQ(never.error().code, ErrorCode::kNotFound);
}

TEST_F(OciStoreTest, GarbageKeepsWhatWasImported) {
  ASSERT_TRUE(store_->import(base_ + "/layout", "a"));
  auto full = OciStore::open({.directory = base_ + "/images",
                              .access = {},
                              .host_dirs = {},
                              .hidden = {},
                              .gc_high_percent = 0,
                              .gc_low_percent = 0},
                             clock_, false);
  ASSERT_TRUE(full);
  fs::create_directories(base_ + "/images/unpacked/00/rootfs");  // no name stands for it
  const auto gone = (*full)->collect_garbage();
  ASSERT_TRUE(gone) << gone.error().to_string();
  EXPECT_THAT(*gone, IsEmpty());
  EXPECT_EQ(unpacked(), 1U);
}

TEST_F(OciStoreTest, ImagesOfTheSameLayersLieOnDiskOnce) {
  ASSERT_TRUE(store_->import(base_ + "/layout", "a"));
  run({"umoci", "config", "--image", "layout:t", "--config.cmd", "date"}, base_);
  ASSERT_TRUE(store_->import(base_ + "/layout", "b"));
  const auto a = store_->ensure_image({"a", PullPolicy::kNever});
  const auto b = store_->ensure_image({"b", PullPolicy::kNever});
  ASSERT_TRUE(a && b);
  ASSERT_NE(a->rootfs, b->rootfs);
  const auto inode = [](const std::string& path) {
    struct stat status{};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status.st_ino;
  };
  EXPECT_EQ(inode(a->rootfs + "/bin/busybox"), inode(b->rootfs + "/bin/busybox"));
  ASSERT_TRUE(store_->remove("a"));
  EXPECT_GT(fs::file_size(b->rootfs + "/bin/busybox"), 0U) << "its own name stays";
}

/// Debian's registry on a free port of the loopback interface.
class Registry {
 public:
  /// `auth` is a part of its configuration.
  explicit Registry(const std::string& base, const std::string& auth = "") {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    auto* generic = static_cast<sockaddr*>(static_cast<void*>(&address));
    EXPECT_EQ(::bind(fd, generic, length), 0);
    EXPECT_EQ(::getsockname(fd, generic, &length), 0);
    port_ = ntohs(address.sin_port);
    ::close(fd);
    const std::string config = base + "/registry.yml";
    std::ofstream(config) << "version: 0.1\nlog: {level: error}\nstorage: {filesystem: "
                             "{rootdirectory: " +
                                 base + "/registry}}\nhttp: {addr: '127.0.0.1:"
                          << port_ << "'}\n"
                          << auth;
    platform::ProcessOptions options;
    options.argv = {"docker-registry", "serve", config};
    const auto pid = platform::spawn_process(options);
    EXPECT_TRUE(pid);
    pid_ = pid.value_or(-1);
    for (int i = 0; i < 200 && !answers(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(25));
  }
  ~Registry() { stop(); }
  void stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    (void)platform::wait_process(pid_, Duration::seconds(5));
    pid_ = -1;
  }
  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  bool answers() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_);
    const bool connected =
        ::connect(fd, static_cast<sockaddr*>(static_cast<void*>(&address)), sizeof(address)) == 0;
    ::close(fd);
    return connected;
  }
  uint16_t port_ = 0;
  pid_t pid_ = -1;
};

TEST_F(OciStoreTest, PullsFromARegistryByPolicy) {
  if (platform::find_program("docker-registry").empty()) GTEST_SKIP() << "needs docker-registry";
  Registry registry(base_);
  const std::string name = registry.host() + "/team/app:1";
  const auto push = [&] {
    run({"skopeo", "copy", "--dest-tls-verify=false", "oci:layout:t", "docker://" + name}, base_);
  };
  push();
  EXPECT_EQ(store_->ensure_image({name, PullPolicy::kNever}).error().code, ErrorCode::kNotFound);
  const auto first = store_->ensure_image({name, PullPolicy::kIfNotPresent});
  ASSERT_TRUE(first) << first.error().to_string();
  EXPECT_TRUE(first->pulled);
  EXPECT_TRUE(fs::exists(first->rootfs + "/bin/busybox"));
  const auto again = store_->ensure_image({name, PullPolicy::kAlways});
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->pulled) << "the registry has nothing newer";

  run({"umoci", "config", "--image", "layout:t", "--config.cmd", "date"}, base_);
  push();
  EXPECT_FALSE(store_->ensure_image({name, PullPolicy::kIfNotPresent})->pulled);
  const auto newer = store_->ensure_image({name, PullPolicy::kAlways});
  ASSERT_TRUE(newer) << newer.error().to_string();
  EXPECT_TRUE(newer->pulled);
  EXPECT_THAT(newer->config.cmd, ElementsAre("date"));
  EXPECT_EQ(unpacked(), 1U) << "the old one went, as nobody used it";

  const auto absent = store_->ensure_image({registry.host() + "/no/such:1", PullPolicy::kAlways});
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound) << absent.error().to_string();
  registry.stop();
  const auto silent = store_->ensure_image({registry.host() + "/no/such:1", PullPolicy::kAlways});
  EXPECT_EQ(silent.error().code, ErrorCode::kUnavailable) << silent.error().to_string();
  EXPECT_TRUE(store_->ensure_image({name, PullPolicy::kIfNotPresent})) << "it is here";
}

TEST_F(OciStoreTest, PullsWithTheSecretsOfAPod) {
  if (platform::find_program("docker-registry").empty()) GTEST_SKIP() << "needs docker-registry";
  // The password is `secret`.
  std::ofstream(base_ + "/htpasswd")
      << "berth:$2b$04$zz41aDFP4/XCDwkJM.ijzuYudxFsarPuDgpMxc0ugOg3KCRz7nsiW\n";
  Registry registry(base_, "auth: {htpasswd: {realm: test, path: '" + base_ + "/htpasswd'}}\n");
  const std::string name = registry.host() + "/team/private:1";
  run({"skopeo", "copy", "--dest-tls-verify=false", "--dest-creds=berth:secret", "oci:layout:t",
       "docker://" + name},
      base_);
  const auto refused = store_->ensure_image({name, PullPolicy::kIfNotPresent});
  EXPECT_EQ(refused.error().code, ErrorCode::kNotFound) << refused.error().to_string();
  const auto wrong = store_->ensure_image(
      {name, PullPolicy::kIfNotPresent,
       R"({"auths":{")" + registry.host() + R"(":{"username":"berth","password":"guess"}}})"});
  EXPECT_EQ(wrong.error().code, ErrorCode::kNotFound) << wrong.error().to_string();
  const auto pulled = store_->ensure_image(
      {name, PullPolicy::kIfNotPresent,
       R"({"auths":{")" + registry.host() + R"(":{"username":"berth","password":"secret"}}})"});
  ASSERT_TRUE(pulled) << pulled.error().to_string();
  EXPECT_TRUE(pulled->pulled);
  EXPECT_TRUE(fs::is_empty(base_ + "/images/work")) << "the password is not kept";
}

TEST_F(OciStoreTest, HostIsAlwaysThere) {
  const auto host = store_->ensure_image({"host", PullPolicy::kAlways});
  ASSERT_TRUE(host) << host.error().to_string();
  EXPECT_EQ(host->digest, "host");
}

}  // namespace
}  // namespace berth::node
