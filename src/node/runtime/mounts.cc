#include "node/runtime/mounts.h"

#include <algorithm>
#include <cerrno>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "node/files.h"
#include "platform/process.h"

namespace berth::node {
namespace {

/// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                      (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

Result<> pin(const std::string& source, const std::string& file) {
  const platform::Fd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return errno_error("cannot make", file);
  if (::mount(source.c_str(), file.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return errno_error("cannot pin a namespace", file);
  return {};
}

}  // namespace

Result<std::vector<std::string>> mount_points_below(const std::string& folder) {
  BERTH_TRY(const std::string table, read_file("/proc/self/mountinfo"));
  std::vector<std::string> out;
  for (const std::string_view line : split(table, '\n')) {
    const auto fields = split(line, ' ');
    if (fields.size() < 5 || !fields[4].starts_with(folder.substr(0, 1))) continue;
    std::string point = unescape(fields[4]);
    if (point == folder || (point.starts_with(folder) && point[folder.size()] == '/'))
      out.push_back(std::move(point));
  }
  // Later mounts hide or sit on earlier ones.
  std::reverse(out.begin(), out.end());
  return out;
}

Result<> unmount_below(const std::string& folder) {
  BERTH_TRY(const auto points, mount_points_below(folder));
  for (const std::string& point : points)
    if (::umount2(point.c_str(), UMOUNT_NOFOLLOW) != 0 &&
        ::umount2(point.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) != 0 && errno != EINVAL)
      return errno_error("cannot unmount", point);
  return {};
}

bool is_mount_point(const std::string& path) {
  // Not by the table of mounts: that has a line or more for every pod.
  struct statx status{};
  return ::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE,
                 &status) == 0 &&
         (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

bool exists_in_root(const std::string& root, const std::string& path) {
  const platform::Fd top(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return top.valid() && platform::Fd(static_cast<int>(::syscall(SYS_openat2, top.get(),
                                                                path.c_str(), &how, sizeof how)))
                            .valid();
}

Result<std::string> ensure_overlay(const std::string& lower, const std::string& folder) {
  const std::string root = folder + "/root";
  if (is_mount_point(root)) return root;
  for (const char* name : {"/upper", "/work", "/root"})
    BERTH_CHECK(make_directories(folder + name, 0755));
  const std::string options =
      fmt::format("lowerdir={0},upperdir={1}/upper,workdir={1}/work", lower, folder);
  if (::mount("overlay", root.c_str(), "overlay", 0, options.c_str()) != 0) {
    auto error = errno_error("cannot mount an overlay", root).error();
    error.fix = "the data folder must be on a file system that overlayfs can write to (ext4, xfs)";
    return std::unexpected(std::move(error));
  }
  return root;
}

Result<> ensure_tmpfs(const std::string& path, int64_t size_bytes, mode_t mode) {
  BERTH_CHECK(make_directories(path, mode));
  if (is_mount_point(path)) return {};
  std::string options = fmt::format("mode={:o}", mode);
  if (size_bytes > 0) options += fmt::format(",size={}", size_bytes);
  if (::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
    return errno_error("cannot mount a memory file system", path);
  return {};
}

Result<> ensure_pod_namespaces(const std::string& folder, const std::string& hostname) {
  if (is_mount_point(folder + "/uts")) return {};
  BERTH_CHECK(make_directories(folder, 0700));
  Result<> outcome;
  // A namespace belongs to a thread until it is pinned; this one ends right after.
  std::thread([&] {
    if (::unshare(CLONE_NEWIPC | CLONE_NEWUTS) != 0) {
      outcome = errno_error("cannot make namespaces", folder);
      return;
    }
    if (::sethostname(hostname.data(), hostname.size()) != 0) {
      outcome = errno_error("cannot set the host name", hostname);
      return;
    }
    outcome = pin("/proc/thread-self/ns/ipc", folder + "/ipc");
    if (outcome) outcome = pin("/proc/thread-self/ns/uts", folder + "/uts");
  }).join();
  return outcome;
}

}  // namespace berth::node
