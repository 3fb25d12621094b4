#include "node/pod/pod_files.h"

#include <algorithm>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"
#include "node/files.h"
#include "node/logs.h"
#include "node/runtime/mounts.h"
#include "platform/process.h"

namespace berth::node {
namespace {

using objects::find_array;
using objects::find_string;

constexpr size_t kMessageBytes = 4096;
constexpr int64_t kFallbackLines = 80;
constexpr size_t kFallbackBytes = 2048;
constexpr int64_t kSharedMemoryBytes = 64 << 20;

std::string hosts_file(const PodSpec& pod, const PodAttachment& network) {
  std::string out =
      "# Kept by Berth.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
  std::string names = pod.hostname;
  if (!pod.subdomain.empty())
    names = fmt::format("{0}.{1}.{2}.svc.cluster.local\t{0}", pod.hostname, pod.subdomain, pod.ns);
  for (const std::string& ip : network.ips) out += fmt::format("{}\t{}\n", ip, names);
  for (const Json& alias : find_array(pod.source, {"spec", "hostAliases"})) {
    out += find_string(alias, {"ip"});
    for (const Json& name : find_array(alias, {"hostnames"}))
      if (name.is_string()) out += fmt::format("\t{}", std::string_view(name.get_string()));
    out += "\n";
  }
  return out;
}

std::string resolv_conf(const PodSpec& pod) {
  std::string out;
  if (find_string(pod.source, {"spec", "dnsPolicy"}) != "None")
    out = read_file("/etc/resolv.conf").value_or("");
  const auto words = [&](std::string_view key, std::string_view keyword, bool one_line) {
    std::string line;
    for (const Json& item : find_array(pod.source, {"spec", "dnsConfig", key})) {
      if (!item.is_string()) continue;
      if (one_line)
        line += fmt::format(" {}", std::string_view(item.get_string()));
      else
        out += fmt::format("{} {}\n", keyword, std::string_view(item.get_string()));
    }
    if (!line.empty()) out += fmt::format("{}{}\n", keyword, line);
  };
  words("nameservers", "nameserver", false);
  words("searches", "search", true);
  return out;
}

}  // namespace

Result<> ensure_pod_files(const PodSpec& pod, const PodPaths& paths, const PodAttachment& network) {
  if (!pod.host_network && ::access(paths.hosts().c_str(), F_OK) != 0)
    BERTH_CHECK(write_file_atomically(paths.hosts(), hosts_file(pod, network), 0644));
  if (::access(paths.resolv_conf().c_str(), F_OK) != 0)
    BERTH_CHECK(write_file_atomically(paths.resolv_conf(), resolv_conf(pod), 0644));
  // One container alone has namespaces of its own; several share the pod's.
  const bool several = pod.containers.size() + pod.init_containers.size() > 1;
  if (!several || pod.host_ipc) return {};
  BERTH_CHECK(ensure_pod_namespaces(paths.namespaces(), pod.hostname));
  return ensure_tmpfs(paths.shared_memory(), kSharedMemoryBytes, 01777);
}

std::string termination_message(const ContainerSpec& container, const PodPaths& paths,
                                const std::string& log_path, int attempt, int exit_code) {
  const std::string file = paths.attempt(container.name, attempt) + "/termination-log";
  // The container wrote it: its size is anything, so only the start is read.
  const platform::Fd fd(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  std::string out(kMessageBytes, '\0');
  const ssize_t n = fd.valid() ? ::read(fd.get(), out.data(), out.size()) : 0;
  out.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
  if (!out.empty() || exit_code == 0 || !container.message_from_logs) return out;
  LogQuery query;
  query.tail_lines = kFallbackLines;
  const std::string tail = read_log({log_path}, query).value_or("");
  return tail.size() > kFallbackBytes ? tail.substr(tail.size() - kFallbackBytes) : tail;
}

}  // namespace berth::node
