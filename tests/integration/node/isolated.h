#pragma once

#include <functional>
#include <string>
#include <thread>

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

namespace berth::node {

/// Why `run_isolated` cannot run here, or an empty string.
inline std::string isolation_missing() {
  if (::geteuid() != 0) return "needs root";
  std::string reason;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) reason = "cannot make namespaces here";
  }).join();
  return reason;
}

/// Runs `body` on a thread with a network of its own (nothing in it but a loopback interface that
/// is down), and a mount table and a /run of its own. Programs that it starts see the same. What
/// it makes there ends with it, and nothing of the machine changes.
inline void run_isolated(const std::function<void()>& body) {
  std::thread([&] {
    if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0 ||
        ::mount("sysfs", "/sys", "sysfs", 0, nullptr) != 0) {
      std::abort();
    }
    body();
  }).join();
}

}  // namespace berth::node
