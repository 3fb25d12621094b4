#include "node/runtime/users.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "base/text.h"
#include "node/files.h"

namespace berth::node {
namespace {

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// A file of the image: where a mount covers it, from there. An image may lack it.
std::string image_file(const ImageHandle& image, const std::string& path) {
  std::string file = image.rootfs + path;
  for (const ImageMount& mount : image.mounts)
    if (path == mount.target || path.starts_with(mount.target + "/"))
      file = mount.source + path.substr(mount.target.size());
  return read_file(file).value_or("");
}

}  // namespace

Result<UserIds> resolve_user(const ImageHandle& image, const std::string& user) {
  const size_t colon = user.find(':');
  const std::string name = user.empty() ? "0" : user.substr(0, colon);
  const std::string group = colon == std::string::npos ? "" : user.substr(colon + 1);
  UserIds out;
  const auto uid = number(name);
  bool known = uid.has_value();
  if (uid) out.uid = *uid;
  std::string login;
  const std::string passwd = image_file(image, "/etc/passwd");
  for (const std::string_view line : split(passwd, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < 6) continue;
    if (fields[0] != name && (!uid || number(fields[2]) != uid)) continue;
    out.uid = number(fields[2]).value_or(out.uid);
    out.gid = number(fields[3]).value_or(0);
    out.home = fields[5].empty() ? "/" : std::string(fields[5]);
    login = fields[0];
    known = true;
    break;
  }
  if (!known)
    return fail(ErrorCode::kNotFound, fmt::format("no user `{}` in the image", name),
                image.reference, "set securityContext.runAsUser to a number");
  const std::string groups = image_file(image, "/etc/group");
  bool group_known = group.empty();
  if (const auto gid = number(group)) out.gid = *gid, group_known = true;
  for (const std::string_view line : split(groups, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < 4) continue;
    const auto gid = number(fields[2]);
    if (!gid) continue;
    if (!group_known && fields[0] == group) out.gid = *gid, group_known = true;
    const auto members = split(fields[3], ',');
    if (!login.empty() && std::find(members.begin(), members.end(), login) != members.end())
      out.groups.push_back(*gid);
  }
  if (!group_known)
    return fail(ErrorCode::kNotFound, fmt::format("no group `{}` in the image", group),
                image.reference);
  return out;
}

}  // namespace berth::node
