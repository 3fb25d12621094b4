#include "node/pod/host/pod_work.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "node/files.h"
#include "node/images/host_image.h"
#include "node/pod/pod_files.h"
#include "node/runtime/mounts.h"

namespace berth::node {
namespace {

/// The attempts of a container that have a folder.
std::vector<int> attempts_on_disk(const std::string& folder) {
  std::vector<int> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    int number = 0;
    const auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (status == std::errc() && end == name.data() + name.size()) out.push_back(number);
  }
  return out;
}

StartOutcome start_error(const Error& error) {
  StartOutcome out;
  const bool fault_of_pod =
      error.code == ErrorCode::kInvalid || error.code == ErrorCode::kNotFound ||
      error.code == ErrorCode::kForbidden || error.code == ErrorCode::kUnsupported;
  out.kind = fault_of_pod ? StartOutcome::Kind::kConfigError : StartOutcome::Kind::kCreateError;
  out.message = error.to_string();
  return out;
}

/// Devices are handed out in the pod's order: each container takes as many as it asks for. When
/// none asks (a share of a device is an annotation), all see them.
std::vector<AssignedDevice> devices_of(const PodSpec& pod, const ContainerSpec& container) {
  std::map<std::string, std::vector<AssignedDevice>> by_resource;
  for (const AssignedDevice& d : pod.devices) by_resource[d.resource].push_back(d);
  std::vector<AssignedDevice> own;
  for (const auto& [resource, devices] : by_resource) {
    size_t at = 0;
    bool asked = false;
    for (const auto* list : {&pod.init_containers, &pod.containers})
      for (const ContainerSpec& c : *list) {
        const auto wanted = c.extended.find(resource);
        if (wanted == c.extended.end() || wanted->second == 0) continue;
        asked = true;
        // Init containers are over before the others begin: they share the same devices.
        size_t from = c.init && !c.sidecar ? 0 : at;
        for (int64_t n = 0; n < wanted->second && from < devices.size(); ++n, ++from)
          if (c.name == container.name) own.push_back(devices[from]);
        if (!c.init || c.sidecar) at = from;
      }
    if (!asked) own.insert(own.end(), devices.begin(), devices.end());
  }
  return own;
}

bool uses_host_image(const PodSpec& pod) {
  return std::ranges::any_of(pod.containers,
                             [](const ContainerSpec& c) { return c.image == kHostImage; });
}

Time modified(const std::string& file, Time fallback) {
  struct stat status{};
  if (::stat(file.c_str(), &status) != 0) return fallback;
  return Time{status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
}

std::string cgroup_of(const NodeContext& context, const PodSpec& pod, const RunOfContainer& run) {
  return fmt::format("{}/{}-{}", pod_cgroup(context.cgroup_root, pod), run.container, run.attempt);
}

std::string log_folder_of(const NodeContext& context, const PodSpec& pod) {
  return pod_log_folder(context.data_dir, pod.ns, pod.name, pod.uid);
}

}  // namespace

std::string pod_cgroup(const std::string& root, const PodSpec& pod) {
  switch (pod.qos) {
    case QosClass::kGuaranteed:
      return fmt::format("{}/pod{}", root, pod.uid);
    case QosClass::kBurstable:
      return fmt::format("{}/burstable/pod{}", root, pod.uid);
    case QosClass::kBestEffort:
      return fmt::format("{}/besteffort/pod{}", root, pod.uid);
  }
  return {};
}

PrepareOutcome prepare_pod(NodeContext& context, const PodSpec& pod, const PodPaths& paths,
                           PodInputs inputs) {
  PodNetworkRequest request;
  request.pod_uid = pod.uid;
  request.pod_namespace = pod.ns;
  request.pod_name = pod.name;
  request.hostname = pod.hostname;
  request.subdomain = pod.subdomain;
  request.netns_name = pod_netns_name(pod.uid);
  request.ingress_bandwidth = pod.ingress_bandwidth;
  request.egress_bandwidth = pod.egress_bandwidth;
  request.host_network = pod.host_network;
  const auto refused = [](const char* event, Error error) {
    return PrepareOutcome{event, std::unexpected(std::move(error))};
  };
  auto made = std::make_shared<PreparedPod>();
  // The view of this machine's files grows old within seconds and takes longest to make: here it
  // is made anew while a CNI plugin runs. What goes wrong is said when the container asks for it.
  std::jthread host_image;
  if (uses_host_image(pod))
    host_image = std::jthread([&context] { (void)context.images.ensure_image({kHostImage}); });
  auto network = context.network.ensure_pod_network(request);
  if (!network) return refused("FailedCreatePodSandBox", network.error());
  made->network = *std::move(network);
  const std::string group = pod_cgroup(context.cgroup_root, pod);
  if (auto r = context.cgroups.ensure(group); !r)
    return refused("FailedCreatePodContainer", r.error());
  CgroupLimits limits = pod_cgroup_limits(pod, context.pids_per_pod);
  if (!context.host.weigh_io) limits.io_weight.reset();
  limits.cpu_shares.reset();  // `set_cpu_weights`
  if (auto r = context.cgroups.apply(group, limits); !r)
    return refused("FailedCreatePodContainer", r.error());
  if (auto r = ensure_pod_files(pod, paths, made->network); !r)
    return refused("FailedCreatePodSandBox", r.error());
  made->around = context.surroundings;
  made->around.pod_ips = made->network.ips;
  made->inputs = std::move(inputs);
  auto volumes = ensure_volumes(pod, paths, made->inputs, made->around, context.volumes);
  if (!volumes) return refused("FailedMount", volumes.error());
  made->volumes = *std::move(volumes);
  return {{}, std::shared_ptr<const PreparedPod>(std::move(made))};
}

StartedContainer start_container(NodeContext& context, const PodSpec& pod, const PodPaths& paths,
                                 const PreparedPod& prepared, const ImageHandle& image,
                                 const RunOfContainer& run, const std::string& pid_namespace) {
  const ContainerSpec& c = *pod.find_container(run.container);
  const auto edits = context.devices.edits_for(devices_of(pod, c));
  if (!edits) return {start_error(edits.error()), 0};
  const ContainerSetup setup{pod,
                             c,
                             run.attempt,
                             image,
                             prepared.inputs,
                             prepared.around,
                             prepared.volumes,
                             prepared.network,
                             *edits,
                             paths,
                             context.host,
                             pod_cgroup(context.cgroup_root, pod),
                             log_folder_of(context, pod),
                             pid_namespace};
  const auto launch = prepare_container(setup);
  if (!launch) return {start_error(launch.error()), 0};
  const auto pid = context.runtime.ensure_created(*launch);
  const auto started =
      pid ? context.runtime.ensure_started(launch->id) : Result<>(std::unexpected(pid.error()));
  StartOutcome out;
  out.started_at = context.clock.now();
  if (started) {
    // A container that ended at once may have no cgroup any more.
    if (const auto set = set_cpu_weights(context, pod, run);
        !set && set.error().code != ErrorCode::kNotFound)
      spdlog::warn("node: {}", set.error().to_string());
    return {out, *pid};
  }
  out.kind = StartOutcome::Kind::kStartError;
  out.message = started.error().to_string();
  return {out, 0};
}

Result<> set_cpu_weights(NodeContext& context, const PodSpec& pod, const RunOfContainer& run) {
  CgroupLimits weight;
  weight.cpu_shares = container_cgroup_limits(*pod.find_container(run.container)).cpu_shares;
  BERTH_CHECK(context.cgroups.apply(cgroup_of(context, pod, run), weight));
  weight.cpu_shares = pod_cgroup_limits(pod, context.pids_per_pod).cpu_shares;
  return context.cgroups.apply(pod_cgroup(context.cgroup_root, pod), weight);
}

std::optional<ExitOutcome> read_exit(NodeContext& context, const PodSpec& pod,
                                     const PodPaths& paths, const RunOfContainer& run,
                                     bool monitor_gone) {
  const std::string id = container_id(pod.uid, run.container, run.attempt);
  const std::string file = context.runtime.options().exit_dir + "/" + id;
  const std::string log =
      container_log_path(log_folder_of(context, pod), run.container, run.attempt);
  const auto code = read_integer(file);
  if (!code && !monitor_gone) return std::nullopt;
  ExitOutcome out;
  out.finished_at = modified(file, context.clock.now());
  out.lost = !code;
  out.exit_code = code ? static_cast<int>(*code) : 137;
  out.oom_killed = context.cgroups.oom_kills(cgroup_of(context, pod, run)).value_or(0) > 0;
  out.message = termination_message(*pod.find_container(run.container), paths, log, run.attempt,
                                    out.exit_code);
  return out;
}

Result<> resize_container(NodeContext& context, const PodSpec& pod, const RunOfContainer& run,
                          const CgroupLimits& limits) {
  const std::string group = pod_cgroup(context.cgroup_root, pod);
  CgroupLimits of_pod = pod_cgroup_limits(pod, context.pids_per_pod);
  of_pod.io_weight.reset();
  // Growing, the pod must come first; shrinking, it must come last. Either order of two tries is
  // safe, so the one that works is kept.
  const auto pod_first = context.cgroups.apply(group, of_pod);
  BERTH_CHECK(context.cgroups.apply(cgroup_of(context, pod, run), limits));
  return pod_first ? Result<>{} : context.cgroups.apply(group, of_pod);
}

Result<> tear_down_pod(NodeContext& context, const PodSpec& pod, const PodPaths& paths) {
  Result<> outcome;
  const auto note = [&](Result<> step) {
    if (!step) outcome = std::move(step);
  };
  for (const auto* list : {&pod.init_containers, &pod.containers})
    for (const ContainerSpec& c : *list)
      for (const int attempt : attempts_on_disk(paths.container(c.name)))
        note(context.runtime.remove(container_id(pod.uid, c.name, attempt)));
  note(context.network.release(pod.uid));
  note(unmount_below(paths.root));
  note(context.cgroups.remove(pod_cgroup(context.cgroup_root, pod)));
  for (const char* part : {"/containers", "/volumes", "/ns", "/shm"})
    note(remove_tree(paths.root + part));
  return outcome;
}

}  // namespace berth::node
