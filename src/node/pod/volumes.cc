#include "node/pod/volumes.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/quantity.h"
#include "base/text.h"
#include "node/files.h"
#include "node/runtime/mounts.h"
#include "platform/process.h"

namespace berth::node {
namespace {

using objects::find;
using objects::find_array;
using objects::find_bool;
using objects::find_int;
using objects::find_string;

/// The files of a volume made of API objects: relative path → content and mode.
struct VolumeFile {
  std::string content;
  mode_t mode = 0644;
};
using VolumeFiles = std::map<std::string, VolumeFile>;

Result<> check_relative(std::string_view path) {
  bool good = !path.empty() && path.front() != '/';
  for (const std::string_view part : split(path, '/')) good &= part != "..";
  if (good) return {};
  return fail(ErrorCode::kInvalid, fmt::format("path `{}` leads out of the volume", path));
}

mode_t mode_of(const Json& source, std::string_view key, mode_t fallback) {
  return static_cast<mode_t>(find_int(source, {key}, fallback)) & 07777;
}

/// Keys of a ConfigMap or Secret as files: all of them, or those in `items` under their paths.
Result<> add_keys(const PodInputs& inputs, InputKey::Kind kind, const std::string& name,
                  const Json& source, mode_t default_mode, VolumeFiles& out) {
  const bool optional = find_bool(source, {"optional"});
  const auto values = input_values(inputs, kind, name);
  if (!values && optional && values.error().code == ErrorCode::kNotFound) return {};
  if (!values) return std::unexpected(values.error());
  const JsonArray& items = find_array(source, {"items"});
  if (items.empty()) {
    for (const auto& [key, value] : *values) out[key] = {value, default_mode};
    return {};
  }
  for (const Json& item : items) {
    const std::string key(find_string(item, {"key"}));
    const std::string path(find_string(item, {"path"}));
    BERTH_CHECK(check_relative(path));
    const auto found = values->find(key);
    if (found != values->end()) {
      out[path] = {found->second, mode_of(item, "mode", default_mode)};
    } else if (!optional) {
      return fail(ErrorCode::kNotFound,
                  fmt::format("references non-existent key `{}` of {}", key, name));
    }
  }
  return {};
}

Result<> add_downward(const PodSpec& pod, const PodSurroundings& around, const Json& source,
                      mode_t default_mode, VolumeFiles& out) {
  for (const Json& item : find_array(source, {"items"})) {
    const std::string path(find_string(item, {"path"}));
    BERTH_CHECK(check_relative(path));
    const mode_t mode = mode_of(item, "mode", default_mode);
    if (const Json* field = find(item, {"fieldRef"})) {
      BERTH_TRY(std::string value, field_value(pod, around, find_string(*field, {"fieldPath"})));
      out[path] = {std::move(value), mode};
    } else if (const Json* resource = find(item, {"resourceFieldRef"})) {
      const auto* container = pod.find_container(find_string(*resource, {"containerName"}));
      BERTH_TRY(std::string value, resource_value(pod, container, around, *resource));
      out[path] = {std::move(value), mode};
    }
  }
  return {};
}

Result<VolumeFiles> projected_files(const PodSpec& pod, const PodInputs& inputs,
                                    const PodSurroundings& around, const Json& source) {
  VolumeFiles out;
  const mode_t mode = mode_of(source, "defaultMode", 0644);
  for (const Json& part : find_array(source, {"sources"})) {
    if (const Json* map = find(part, {"configMap"})) {
      BERTH_CHECK(add_keys(inputs, InputKey::Kind::kConfigMap,
                           std::string(find_string(*map, {"name"})), *map, mode, out));
    } else if (const Json* secret = find(part, {"secret"})) {
      BERTH_CHECK(add_keys(inputs, InputKey::Kind::kSecret,
                           std::string(find_string(*secret, {"name"})), *secret, mode, out));
    } else if (const Json* downward = find(part, {"downwardAPI"})) {
      BERTH_CHECK(add_downward(pod, around, *downward, mode, out));
    } else if (const Json* token = find(part, {"serviceAccountToken"})) {
      const std::string path(find_string(*token, {"path"}));
      BERTH_CHECK(check_relative(path));
      const InputKey key{InputKey::Kind::kToken,
                         pod.service_account.empty() ? "default" : pod.service_account,
                         std::string(find_string(*token, {"audience"})),
                         find_int(*token, {"expirationSeconds"}, 3600)};
      const auto found = inputs.find(key);
      if (found == inputs.end() || found->second == nullptr)
        return fail(ErrorCode::kNotFound,
                    fmt::format("no token for service account \"{}\"", key.name));
      out[path] = {std::string(find_string(*found->second, {"status", "token"})), 0600};
    } else {
      return fail(ErrorCode::kUnsupported, "unknown projected source");
    }
  }
  return out;
}

Result<> write_files(const std::string& folder, const VolumeFiles& files,
                     std::optional<int64_t> fs_group) {
  for (const auto& [path, file] : files) {
    const std::string at = fmt::format("{}/{}", folder, path);
    BERTH_CHECK(make_directories(at.substr(0, at.rfind('/'))));
    const mode_t mode = fs_group ? (file.mode | 0440) : file.mode;
    if (const auto old = read_file(at); old && *old == file.content) continue;
    BERTH_CHECK(write_file_atomically(at, file.content, mode));
    if (fs_group && ::chown(at.c_str(), 0, static_cast<gid_t>(*fs_group)) != 0)
      return errno_error("cannot change the group", at);
  }
  return {};
}

Result<> make_empty_dir(const PodSpec& pod, const Json& source, const std::string& at) {
  const std::string_view limit = find_string(source, {"sizeLimit"});
  int64_t bytes = 0;
  if (!limit.empty()) {
    BERTH_TRY(const Quantity quantity, Quantity::parse(limit));
    bytes = quantity.units();
  }
  const mode_t mode = pod.fs_group ? 02777 : 0777;
  if (find_string(source, {"medium"}) == "Memory") {
    BERTH_CHECK(ensure_tmpfs(at, bytes, 0777));
  } else {
    BERTH_CHECK(make_directories(at, mode));
  }
  if (pod.fs_group && (::chown(at.c_str(), 0, static_cast<gid_t>(*pod.fs_group)) != 0 ||
                       ::chmod(at.c_str(), mode) != 0))
    return errno_error("cannot change the group", at);
  return {};
}

Result<std::string> host_path(const Json& source) {
  const std::string path(find_string(source, {"path"}));
  const std::string_view type = find_string(source, {"type"});
  struct stat status{};
  const bool there = ::stat(path.c_str(), &status) == 0;
  if (!there && type == "DirectoryOrCreate") {
    BERTH_CHECK(make_directories(path));
    return path;
  }
  if (!there && type == "FileOrCreate") {
    const platform::Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!fd.valid()) return errno_error("cannot make", path);
    return path;
  }
  if (!there)
    return fail(ErrorCode::kNotFound, "hostPath does not exist", path,
                "make it, or use type DirectoryOrCreate");
  const bool right = (!type.starts_with("Directory") || S_ISDIR(status.st_mode)) &&
                     (!type.starts_with("File") || S_ISREG(status.st_mode)) &&
                     (type != "Socket" || S_ISSOCK(status.st_mode)) &&
                     (type != "CharDevice" || S_ISCHR(status.st_mode)) &&
                     (type != "BlockDevice" || S_ISBLK(status.st_mode));
  if (!right)
    return fail(ErrorCode::kInvalid, fmt::format("hostPath is not of type {}", type), path);
  return path;
}

/// Is it a part of what the image `host` shows, with links followed, that the pod only reads?
bool is_shown_anyway(const PodSpec& pod, const Json& volume,
                     const std::vector<std::string>& host_dirs) {
  for (const auto* list : {&pod.init_containers, &pod.containers})
    for (const ContainerSpec& container : *list)
      for (const VolumeMount& mount : container.mounts)
        if (mount.name == find_string(volume, {"name"}) && !mount.read_only) return false;
  std::error_code error;
  const auto path =
      std::filesystem::canonical(std::string(find_string(volume, {"hostPath", "path"})), error);
  if (error) return false;
  return std::ranges::any_of(host_dirs, [&](const std::string& dir) {
    const auto shown = std::filesystem::canonical(dir, error);
    return !error && std::ranges::mismatch(shown, path).in1 == shown.end();
  });
}

/// A folder of small files: in memory when they are secret.
Result<> make_file_volume(const std::string& at, bool secret, Result<VolumeFiles> files,
                          const PodSpec& pod) {
  if (!files) return std::unexpected(files.error());
  BERTH_CHECK(secret ? ensure_tmpfs(at, 0, 0755) : make_directories(at));
  return write_files(at, *files, pod.fs_group);
}

Result<std::string> ensure_volume(const PodSpec& pod, const PodPaths& paths,
                                  const PodInputs& inputs, const PodSurroundings& around,
                                  const VolumeOptions& options, const Json& volume) {
  const std::string at = paths.volume(std::string(find_string(volume, {"name"})));
  if (const Json* source = find(volume, {"emptyDir"})) {
    BERTH_CHECK(make_empty_dir(pod, *source, at));
    return at;
  }
  if (const Json* source = find(volume, {"hostPath"})) {
    if (!options.allow_host_path && !is_shown_anyway(pod, volume, options.host_dirs))
      return fail(ErrorCode::kForbidden, "hostPath volumes are not allowed on this node",
                  std::string(find_string(*source, {"path"})),
                  "use emptyDir; or start Berth with --allow-host-path, or with --host-dir for a "
                  "folder that may be read");
    return host_path(*source);
  }
  const auto keys = [&](InputKey::Kind kind, const Json& source,
                        std::string_view name_key) -> Result<VolumeFiles> {
    VolumeFiles files;
    BERTH_CHECK(add_keys(inputs, kind, std::string(find_string(source, {name_key})), source,
                         mode_of(source, "defaultMode", 0644), files));
    return files;
  };
  if (const Json* source = find(volume, {"configMap"})) {
    BERTH_CHECK(
        make_file_volume(at, false, keys(InputKey::Kind::kConfigMap, *source, "name"), pod));
    return at;
  }
  if (const Json* source = find(volume, {"secret"})) {
    BERTH_CHECK(
        make_file_volume(at, true, keys(InputKey::Kind::kSecret, *source, "secretName"), pod));
    return at;
  }
  if (const Json* source = find(volume, {"downwardAPI"})) {
    VolumeFiles files;
    BERTH_CHECK(add_downward(pod, around, *source, mode_of(*source, "defaultMode", 0644), files));
    BERTH_CHECK(make_file_volume(at, false, std::move(files), pod));
    return at;
  }
  if (const Json* source = find(volume, {"projected"})) {
    BERTH_CHECK(make_file_volume(at, true, projected_files(pod, inputs, around, *source), pod));
    return at;
  }
  return fail(ErrorCode::kUnsupported, "a kind of volume that this node does not have", {},
              "use emptyDir, hostPath, configMap, secret, projected or downwardAPI");
}

}  // namespace

Result<VolumePaths> ensure_volumes(const PodSpec& pod, const PodPaths& paths,
                                   const PodInputs& inputs, const PodSurroundings& around,
                                   const VolumeOptions& options) {
  VolumePaths out;
  for (const Json& volume : find_array(pod.source, {"spec", "volumes"})) {
    const std::string name(find_string(volume, {"name"}));
    auto path = ensure_volume(pod, paths, inputs, around, options, volume);
    if (!path) {
      Error error = path.error();
      error.what = fmt::format("volume \"{}\": {}", name, error.what);
      return std::unexpected(std::move(error));
    }
    out[name] = *std::move(path);
  }
  return out;
}

Result<std::string> ensure_sub_path(const std::string& volume, const std::string& sub_path,
                                    const std::string& folder, int number) {
  BERTH_CHECK(check_relative(sub_path));
  const std::string target = fmt::format("{}/{}", folder, number);
  if (is_mount_point(target)) return target;
  // One component at a time, below the volume whatever its content: the kernel checks, so a
  // container that swaps a link in between gains nothing.
  const auto open_below = [](int at, const std::string& name) {
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    return platform::Fd(
        static_cast<int>(::syscall(SYS_openat2, at, name.c_str(), &how, sizeof how)));
  };
  platform::Fd at(::open(volume.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at.valid()) return errno_error("cannot open the volume", volume);
  std::string path;
  platform::Fd found;
  for (const std::string_view part : split(sub_path, '/')) {
    if (part.empty() || part == ".") continue;
    const std::string parent = path.empty() ? "." : path;
    path += path.empty() ? std::string(part) : fmt::format("/{}", part);
    found = open_below(at.get(), path);
    if (found.valid()) continue;
    const platform::Fd folder_fd = open_below(at.get(), parent);
    if (errno != ENOENT || !folder_fd.valid() ||
        ::mkdirat(folder_fd.get(), std::string(part).c_str(), 0755) != 0)
      return errno_error("subPath cannot be opened or made", volume + "/" + path);
    found = open_below(at.get(), path);
    if (!found.valid()) return errno_error("subPath cannot be opened", volume + "/" + path);
  }
  if (!found.valid()) found = std::move(at);
  struct stat status{};
  ::fstat(found.get(), &status);
  BERTH_CHECK(make_directories(folder, 0700));
  if (S_ISDIR(status.st_mode)) {
    BERTH_CHECK(make_directories(target));
  } else {
    BERTH_CHECK(write_file_atomically(target, ""));
  }
  const std::string source = fmt::format("/proc/self/fd/{}", found.get());
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
    return errno_error("cannot mount the subPath", target);
  return target;
}

std::map<std::string, int64_t> measured_empty_dirs(const PodSpec& pod) {
  std::map<std::string, int64_t> out;
  for (const Json& volume : find_array(pod.source, {"spec", "volumes"})) {
    const Json* source = find(volume, {"emptyDir"});
    if (source == nullptr || find_string(*source, {"medium"}) == "Memory") continue;
    const auto limit = Quantity::parse(find_string(*source, {"sizeLimit"}, "0"));
    out[std::string(find_string(volume, {"name"}))] = limit ? limit->units() : 0;
  }
  return out;
}

}  // namespace berth::node
