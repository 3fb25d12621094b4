#include "node/pod/container_setup.h"

#include <algorithm>

#include <boost/json/parse.hpp>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "node/files.h"
#include "node/runtime/mounts.h"
#include "node/runtime/users.h"

namespace berth::node {
namespace {

constexpr uint64_t kSoftFiles = 1024 * 16;

Result<> choose_user(const ContainerSetup& s, OciContainer& out, std::string& home) {
  std::string wanted = s.image.config.user;
  if (s.container.run_as_user) wanted = fmt::format("{}", *s.container.run_as_user);
  BERTH_TRY(const UserIds ids, resolve_user(s.image, wanted));
  out.uid = ids.uid;
  out.gid = s.container.run_as_group ? static_cast<uint32_t>(*s.container.run_as_group) : ids.gid;
  out.additional_gids = ids.groups;
  for (const int64_t group : s.pod.supplemental_groups)
    out.additional_gids.push_back(static_cast<uint32_t>(group));
  if (s.pod.fs_group) out.additional_gids.push_back(static_cast<uint32_t>(*s.pod.fs_group));
  home = ids.home;
  if (s.container.run_as_non_root && out.uid == 0)
    return fail(ErrorCode::kInvalid, "container has runAsNonRoot and image will run as root", {},
                "set securityContext.runAsUser to a number other than 0");
  return {};
}

void choose_capabilities(const ContainerSpec& c, OciContainer& out) {
  const auto has = [](const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  std::vector<std::string> set = default_capabilities();
  if (c.privileged || has(c.capabilities_added, "ALL")) set = all_capabilities();
  if (has(c.capabilities_dropped, "ALL")) set.clear();
  std::erase_if(set, [&](const std::string& name) { return has(c.capabilities_dropped, name); });
  for (const std::string& name : c.capabilities_added)
    if (name != "ALL" && !has(set, name)) set.push_back(name);
  out.capabilities = std::move(set);
}

Result<> choose_seccomp(const ContainerSetup& s, OciContainer& out) {
  if (s.container.seccomp.kind == SeccompChoice::Kind::kUnconfined)
    out.seccomp = OciContainer::Seccomp::kUnconfined;
  if (s.container.seccomp.kind != SeccompChoice::Kind::kLocalhost) return {};
  const std::string& name = s.container.seccomp.localhost_profile;
  const auto parts = split(name, '/');
  if (name.empty() || std::find(parts.begin(), parts.end(), "..") != parts.end())
    return fail(ErrorCode::kInvalid, fmt::format("not a seccomp profile: `{}`", name));
  BERTH_TRY(const std::string text, read_file(s.host.seccomp_profiles + "/" + name));
  boost::system::error_code parse_error;
  out.seccomp_profile = boost::json::parse(text, parse_error);
  if (parse_error) return fail(ErrorCode::kInvalid, "the seccomp profile is not JSON", name);
  out.seccomp = OciContainer::Seccomp::kProfile;
  return {};
}

OciMount bind_mount(std::string source, std::string target, bool read_only) {
  OciMount mount;
  mount.source = std::move(source);
  mount.target = std::move(target);
  mount.read_only = read_only;
  mount.options = {"nosuid", "nodev", "rprivate"};
  return mount;
}

Result<> add_volume_mounts(const ContainerSetup& s, const Environment& env,
                           const std::string& folder, OciContainer& out) {
  std::map<std::string, std::string> known;
  for (const auto& [name, value] : env) known[name] = value;
  int number = 0;
  for (const VolumeMount& m : s.container.mounts) {
    const auto volume = s.volumes.find(m.name);
    if (volume == s.volumes.end())
      return fail(ErrorCode::kInvalid, fmt::format("no volume \"{}\" to mount", m.name));
    std::string source = volume->second;
    const std::string sub = m.sub_path_expanded ? expand(m.sub_path, known) : m.sub_path;
    if (!sub.empty()) {
      BERTH_TRY(source, ensure_sub_path(volume->second, sub, folder + "/sub", number++));
    }
    out.mounts.push_back(bind_mount(std::move(source), m.mount_path, m.read_only));
  }
  return {};
}

/// The files that every container has on top of its image. Volumes may cover them.
Result<> add_pod_files(const ContainerSetup& s, const std::string& folder, OciContainer& out) {
  const auto covered = [&](std::string_view target) {
    return std::any_of(out.mounts.begin(), out.mounts.end(),
                       [&](const OciMount& m) { return m.target == target; });
  };
  if (!s.pod.host_network && !covered("/etc/hosts") && ::access(s.paths.hosts().c_str(), F_OK) == 0)
    out.mounts.push_back(bind_mount(s.paths.hosts(), "/etc/hosts", true));
  if (!covered("/etc/resolv.conf") && ::access(s.paths.resolv_conf().c_str(), F_OK) == 0)
    out.mounts.push_back(bind_mount(s.paths.resolv_conf(), "/etc/resolv.conf", true));
  if (!covered("/dev/shm") && ::access(s.paths.shared_memory().c_str(), F_OK) == 0)
    out.mounts.push_back(bind_mount(s.paths.shared_memory(), "/dev/shm", false));
  const std::string message = folder + "/termination-log";
  if (::access(message.c_str(), F_OK) != 0) BERTH_CHECK(write_file_atomically(message, "", 0666));
  if (!s.container.termination_message_path.empty())
    out.mounts.push_back(bind_mount(message, s.container.termination_message_path, false));
  for (const std::string& target : s.image.scratch_dirs) {
    if (covered(target)) continue;
    const std::string source = folder + "/scratch" + target;
    BERTH_CHECK(make_directories(source, 01777));
    out.mounts.push_back(bind_mount(source, target, false));
  }
  return {};
}

void order_mounts(OciContainer& out) {
  // A mount inside another one must come after it, however the pod lists them.
  const auto depth = [](const OciMount& m) {
    return std::count(m.target.begin(), m.target.end(), '/') - (m.target.ends_with('/') ? 1 : 0);
  };
  std::stable_sort(out.mounts.begin(), out.mounts.end(),
                   [&](const OciMount& a, const OciMount& b) { return depth(a) < depth(b); });
}

void choose_namespaces(const ContainerSetup& s, OciContainer& out) {
  out.network =
      s.pod.host_network ? OciNamespace::host() : OciNamespace::join(s.network.netns_path);
  const std::string pinned = s.paths.namespaces();
  if (s.pod.host_ipc)
    out.ipc = OciNamespace::host();
  else if (::access((pinned + "/ipc").c_str(), F_OK) == 0)
    out.ipc = OciNamespace::join(pinned + "/ipc");
  if (s.pod.host_network)
    out.uts = OciNamespace::host();
  else if (::access((pinned + "/uts").c_str(), F_OK) == 0)
    out.uts = OciNamespace::join(pinned + "/uts");
  else
    out.hostname = s.pod.hostname;
  if (s.pod.host_pid)
    out.pid = OciNamespace::host();
  else if (!s.pid_namespace.empty())
    out.pid = OciNamespace::join(s.pid_namespace);
  out.cgroup_namespace = s.host.cgroup_namespace && !s.container.privileged;
}

/// Can containers share the image's own root? Nobody may be able to write to it, and nothing may
/// have to be made in it: every mount has its place there. Saves a mount and five folders.
bool root_serves_as_it_is(const ContainerSetup& s, const OciContainer& c) {
  if (!s.image.always_read_only || c.privileged ||
      std::ranges::find(c.capabilities, "CAP_SYS_ADMIN") != c.capabilities.end())
    return false;
  std::vector<std::string> covered = {"/proc", "/dev", "/sys"};
  const auto has_place = [&](const std::string& path) {
    return exists_in_root(s.image.rootfs, path) ||
           std::ranges::any_of(covered, [&](const std::string& mount) {
             return path == mount || path.starts_with(mount + "/");
           });
  };
  for (const OciMount& mount : c.mounts) {
    if (!has_place(mount.target)) return false;
    covered.push_back(mount.target);
  }
  return has_place(c.working_dir);
}

void choose_limits(const ContainerSetup& s, OciContainer& out) {
  out.limits = container_cgroup_limits(s.container);
  out.limits.cpu_shares.reset();  // set once it runs: `set_cpu_weights`
  if (s.host.weigh_io) out.limits.io_weight = io_weight_of(s.pod.qos);
  out.limit_swap = s.host.limit_swap;
  out.oom_kills_all = s.host.kill_together;
  out.oom_score_adj = std::max(
      s.host.lowest_oom_score_adj,
      oom_score_adj(s.pod.qos, s.container.requests.memory_bytes.value_or(0), s.host.memory_bytes));
  const uint64_t hard = s.host.most_files;
  out.rlimits = {{"RLIMIT_NOFILE", std::min(kSoftFiles, hard), hard}};
}

}  // namespace

Result<ContainerRuntime::Launch> prepare_container(const ContainerSetup& s) {
  const std::string folder = s.paths.attempt(s.container.name, s.attempt);
  OciContainer out;
  std::string home;
  BERTH_CHECK(choose_user(s, out, home));
  BERTH_TRY(Environment env, resolve_env(s.pod, s.container, s.inputs, s.around));
  out.args = resolve_args(s.container, s.image.config, env);
  if (out.args.empty())
    return fail(ErrorCode::kInvalid, "no command specified", s.container.image,
                "set command: the image has none");
  out.env = merge_env(s.image.config.env, s.devices.env, env);
  const auto has_variable = [&](std::string_view prefix) {
    return std::any_of(out.env.begin(), out.env.end(),
                       [&](const std::string& e) { return e.starts_with(prefix); });
  };
  out.env.push_back("HOSTNAME=" + s.pod.hostname);
  if (!has_variable("HOME=")) out.env.push_back("HOME=" + home);
  if (s.container.terminal && !has_variable("TERM=")) out.env.emplace_back("TERM=xterm");
  out.working_dir =
      s.container.working_dir.empty() ? s.image.config.working_dir : s.container.working_dir;
  if (out.working_dir.empty()) out.working_dir = "/";
  choose_capabilities(s.container, out);
  BERTH_CHECK(choose_seccomp(s, out));
  out.no_new_privileges = !s.container.allow_privilege_escalation;
  out.privileged = s.container.privileged;
  out.unmasked_proc = s.container.unmasked_proc;
  out.read_only_root = s.container.read_only_root || s.image.always_read_only;
  out.terminal = s.container.terminal;
  choose_namespaces(s, out);
  choose_limits(s, out);
  out.cgroup_path = fmt::format("{}/{}-{}", s.cgroup_path, s.container.name, s.attempt);

  BERTH_CHECK(make_directories(folder, 0711));
  BERTH_CHECK(add_volume_mounts(s, env, folder, out));
  BERTH_CHECK(add_pod_files(s, folder, out));
  for (const DeviceMount& m : s.devices.mounts)
    out.mounts.push_back(bind_mount(m.source, m.target, m.read_only));
  out.devices = s.devices.device_nodes;
  out.hooks = s.devices.hooks;
  order_mounts(out);
  // The image's own parts come first: all else lies on top of them.
  std::vector<OciMount> below;
  for (const ImageMount& m : s.image.mounts)
    below.push_back(bind_mount(m.source, m.target, m.read_only));
  out.mounts.insert(out.mounts.begin(), std::make_move_iterator(below.begin()),
                    std::make_move_iterator(below.end()));

  out.rootfs = s.image.rootfs;
  if (!root_serves_as_it_is(s, out)) {
    BERTH_TRY(out.rootfs, ensure_overlay(s.image.rootfs, folder));
  }

  ContainerRuntime::Launch launch;
  launch.id = container_id(s.pod.uid, s.container.name, s.attempt);
  launch.bundle = folder + "/bundle";
  launch.log_path = container_log_path(s.log_folder, s.container.name, s.attempt);
  launch.terminal = s.container.terminal;
  launch.open_stdin = s.container.open_stdin;
  BERTH_CHECK(make_directories(fmt::format("{}/{}", s.log_folder, s.container.name), 0750));
  BERTH_TRY(launch.spec, oci_spec(out));
  return launch;
}

Result<> discard_container(const PodPaths& paths, const std::string& container, int attempt) {
  const std::string folder = paths.attempt(container, attempt);
  BERTH_CHECK(unmount_below(folder));
  return remove_tree(folder);
}

}  // namespace berth::node
