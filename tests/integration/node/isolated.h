#pragma once

#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
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

inline bool set_loopback_up() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP;
  const bool up = ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  ::close(fd);
  return up;
}

/// Runs `body` on a thread with a network of its own (nothing in it but the loopback interface),
/// and a mount table and a /run of its own. Programs that it starts see the same. What
/// it makes there ends with it, and nothing of the machine changes.
inline void run_isolated(const std::function<void()>& body) {
  std::thread([&] {
    if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0 ||
        ::mount("sysfs", "/sys", "sysfs", 0, nullptr) != 0 || !set_loopback_up()) {
      std::abort();
    }
    body();
  }).join();
}

}  // namespace berth::node
