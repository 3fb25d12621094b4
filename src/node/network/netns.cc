#include "node/network/netns.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <unistd.h>

namespace berth::node {
namespace {

std::unexpected<Error> errno_error(const std::string& what, const std::string& where) {
  const int error = errno;
  return fail(error == EPERM || error == EACCES ? ErrorCode::kForbidden : ErrorCode::kInternal,
              what + ": " + std::strerror(error), where,
              error == EPERM ? "network namespaces need root (CAP_SYS_ADMIN)" : "");
}

Result<> set_loopback_up() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno_error("cannot open a socket", "lo");
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  Result<> result;
  if (::ioctl(fd, SIOCSIFFLAGS, &request) != 0)
    result = errno_error("cannot set the loopback interface up", "lo");
  ::close(fd);
  return result;
}

/// Only the calling thread moves to the new namespace, so the thread must end afterwards.
Result<> make_in_this_thread(const std::string& path) {
  if (::unshare(CLONE_NEWNET) != 0) return errno_error("cannot make a network namespace", path);
  BERTH_CHECK(set_loopback_up());
  if (::mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr) != 0)
    return errno_error("cannot mount the network namespace", path);
  return {};
}

}  // namespace

bool is_netns(const std::string& path) {
  struct statfs status{};
  return ::statfs(path.c_str(), &status) == 0 && status.f_type == NSFS_MAGIC;
}

Result<> ensure_netns(const std::string& path) {
  if (is_netns(path)) return {};
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  const int fd = ::open(path.c_str(), O_CREAT | O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0444);
  if (fd < 0) return errno_error("cannot make the file of a network namespace", path);
  ::close(fd);
  Result<> result;
  std::thread([&] { result = make_in_this_thread(path); }).join();
  if (!result) ::unlink(path.c_str());
  return result;
}

Result<> remove_netns(const std::string& path) {
  // Several mounts may lie on each other after a race between two crashes.
  while (is_netns(path)) {
    if (::umount2(path.c_str(), MNT_DETACH) != 0)
      return errno_error("cannot unmount the network namespace", path);
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return errno_error("cannot remove the file of a network namespace", path);
  return {};
}

}  // namespace berth::node
