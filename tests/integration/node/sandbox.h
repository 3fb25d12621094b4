#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include <dirent.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/files.h"
#include "node/runtime/mounts.h"
#include "platform/process.h"

namespace berth::node::testing {

/// Why real containers cannot run here, or an empty string.
inline std::string missing() {
  if (::geteuid() != 0) return "needs root";
  for (const char* program : {"runc", "conmon", "busybox"})
    if (platform::find_program(program).empty()) return std::string("needs ") + program;
  return {};
}

/// Waits for a condition, at most this long.
inline bool eventually(const std::function<bool()>& condition,
                       std::chrono::seconds limit = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < deadline) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return condition();
}

/// A folder for one test, with a busybox root in it; unmounted and removed at the end.
class Sandbox {
 public:
  Sandbox() {
    std::string pattern = "/tmp/berth-node-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
    const std::string bin = path_ + "/busybox/bin";
    for (const char* folder : {"/busybox/bin", "/busybox/etc", "/busybox/tmp", "/busybox/proc",
                               "/busybox/sys", "/busybox/dev"})
      EXPECT_TRUE(make_directories(path_ + folder));
    platform::ProcessOptions copy;
    copy.argv = {"cp", platform::find_program("busybox"), bin + "/busybox"};
    EXPECT_TRUE(platform::run_checked(copy));
    for (const char* applet :
         {"sh",    "sleep", "cat", "echo",     "true",  "false", "id",    "ls",    "dd",
          "head",  "tail",  "env", "hostname", "touch", "kill",  "wc",    "mount", "stat",
          "grep",  "ps",    "ip",  "nc",       "wget",  "httpd", "mkdir", "yes",   "chmod",
          "mknod", "date",  "rm",  "readlink", "tr",    "test"})
      EXPECT_EQ(::symlink("busybox", (bin + "/" + applet).c_str()), 0);
    EXPECT_TRUE(write_file_atomically(path_ + "/busybox/etc/passwd",
                                      "root:x:0:0::/root:/bin/sh\nalice:x:1234:2345::/:/bin/sh\n",
                                      0644));
  }
  ~Sandbox() {
    EXPECT_TRUE(unmount_below(path_));
    EXPECT_TRUE(remove_tree(path_));
  }

  const std::string& path() const { return path_; }
  std::string busybox() const { return path_ + "/busybox"; }

 private:
  std::string path_;
};

}  // namespace berth::node::testing
