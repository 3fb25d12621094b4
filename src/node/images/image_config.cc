#include "node/images/image_config.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <boost/json/parse.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/text.h"
#include "objects/json.h"

namespace berth::node {
namespace {

using objects::find_array;
using objects::find_string;

std::vector<std::string> strings(const Json& root, std::string_view name) {
  std::vector<std::string> result;
  for (const Json& item : find_array(root, {"config", name})) {
    if (item.is_string()) result.emplace_back(item.as_string());
  }
  return result;
}

std::optional<uint32_t> parse_id(std::string_view text) {
  uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id == ~uint32_t{0})
    return std::nullopt;
  return id;
}

/// A file of an image, whose symbolic links must not lead out of it.
std::string read_inside(const std::string& root, const std::string& path) {
  const int directory = ::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return {};
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_IN_ROOT;
  const long fd = ::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof(how));
  ::close(directory);
  if (fd < 0) return {};
  constexpr size_t kLimit = 4 << 20;
  std::string text(kLimit, '\0');
  size_t size = 0;
  for (ssize_t n = 1; n > 0 && size < kLimit; size += static_cast<size_t>(std::max<ssize_t>(n, 0)))
    n = ::read(static_cast<int>(fd), text.data() + size, kLimit - size);
  ::close(static_cast<int>(fd));
  text.resize(size);
  return text;
}

}  // namespace

std::string host_architecture() {
  utsname name{};
  ::uname(&name);
  const std::string_view machine = name.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  return std::string(machine);
}

Result<ImageConfig> parse_image_config(std::string_view text, std::string_view architecture) {
  boost::system::error_code error;
  const Json root = boost::json::parse({text.data(), text.size()}, error);
  if (error || !root.is_object())
    return fail(ErrorCode::kInvalid, "the image's configuration cannot be read as JSON", "",
                "the image is damaged: build, save or pull it again");
  const std::string_view os = find_string(root, {"os"}, "linux");
  const std::string_view built_for = find_string(root, {"architecture"}, architecture);
  if (os != "linux" || built_for != architecture)
    return fail(ErrorCode::kUnsupported,
                fmt::format("the image is for {}/{}, and this machine is linux/{}", os, built_for,
                            architecture),
                "", fmt::format("use an image for linux/{}", architecture));
  ImageConfig config;
  config.env = strings(root, "Env");
  config.entrypoint = strings(root, "Entrypoint");
  config.cmd = strings(root, "Cmd");
  config.user = find_string(root, {"config", "User"});
  config.working_dir = find_string(root, {"config", "WorkingDir"});
  config.stop_signal = find_string(root, {"config", "StopSignal"});
  return config;
}

Result<ImageUser> resolve_user(std::string_view user, std::string_view etc_passwd,
                               std::string_view etc_group) {
  ImageUser result;
  const size_t colon = user.find(':');
  const std::string_view name = user.empty() ? "0" : user.substr(0, colon);
  const std::string_view group =
      colon == std::string_view::npos ? std::string_view() : user.substr(colon + 1);

  // name:password:uid:gid:comment:home:shell
  std::string login(name);
  bool known = false;
  const auto wanted_uid = parse_id(name);
  for (const std::string_view line : split(etc_passwd, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < 6) continue;
    const auto uid = parse_id(fields[2]);
    const auto gid = parse_id(fields[3]);
    if (!uid || !gid || (wanted_uid ? *uid != *wanted_uid : fields[0] != name)) continue;
    login = fields[0];
    result.uid = *uid;
    result.gid = *gid;
    if (!fields[5].empty()) result.home = fields[5];
    known = true;
    break;
  }
  if (!known) {
    if (!wanted_uid)
      return fail(ErrorCode::kInvalid, fmt::format("the image has no user `{}`", name), "",
                  "give a number in securityContext.runAsUser");
    result.uid = *wanted_uid;
  }

  // name:password:gid:members
  const auto wanted_gid = parse_id(group);
  if (wanted_gid) result.gid = *wanted_gid;
  bool group_known = group.empty() || wanted_gid.has_value();
  for (const std::string_view line : split(etc_group, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < 4) continue;
    const auto gid = parse_id(fields[2]);
    if (!gid) continue;
    if (!group_known && fields[0] == group) {
      result.gid = *gid;
      group_known = true;
    }
    const auto members = split(trim(fields[3]), ',');
    if (group.empty() && known && std::ranges::find(members, login) != members.end())
      result.groups.push_back(*gid);
  }
  if (!group_known)
    return fail(ErrorCode::kInvalid, fmt::format("the image has no group `{}`", group), "",
                "give a number in securityContext.runAsGroup");
  return result;
}

Result<ImageUser> resolve_user(std::string_view user, const ImageHandle& image) {
  for (const ImageMount& mount : image.mounts) {
    if (mount.target == "/etc")
      return resolve_user(user, read_inside(mount.source, "passwd"),
                          read_inside(mount.source, "group"));
  }
  return resolve_user(user, read_inside(image.rootfs, "etc/passwd"),
                      read_inside(image.rootfs, "etc/group"));
}

}  // namespace berth::node
