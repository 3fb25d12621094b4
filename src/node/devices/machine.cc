#include "node/devices/machine.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <utility>

#include <sys/utsname.h>

#include "base/text.h"
#include "node/files.h"

namespace berth::node {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSectorBytes = 512;  // what /sys/block/*/size counts, whatever the disk's own
constexpr int kMostCpus = 1 << 16;

std::string first_line(const std::string& path) {
  const std::string text = read_file(path).value_or("");
  return std::string(trim(std::string_view(text).substr(0, text.find('\n'))));
}

std::optional<int64_t> parse_integer(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

/// The kB value of a line such as `MemTotal:  16384 kB` or `Node 0 MemTotal:  8192 kB`, in bytes.
int64_t memory_line(std::string_view text, std::string_view name) {
  const size_t at = text.find(name);
  if (at == std::string_view::npos) return 0;
  std::string_view rest = text.substr(at + name.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  return parse_integer(rest).value_or(0) * 1024;
}

/// The value of `key` in a file of `key<separator>value` lines, unquoted.
std::string value_of(std::string_view text, std::string_view key, char separator) {
  for (const std::string_view line : split(text, '\n')) {
    const size_t at = line.find(separator);
    if (at == std::string_view::npos || trim(line.substr(0, at)) != key) continue;
    std::string_view value = trim(line.substr(at + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    return std::string(value);
  }
  return {};
}

std::vector<std::string> sorted_names(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored))
    names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

std::vector<NumaNode> discover_numa(const std::string& root, const Machine& machine) {
  const std::string directory = root + "/sys/devices/system/node";
  std::vector<NumaNode> nodes;
  for (const std::string& name : sorted_names(directory)) {
    constexpr std::string_view kPrefix = "node";
    if (!name.starts_with(kPrefix)) continue;
    const auto id = parse_integer(std::string_view(name).substr(kPrefix.size()));
    if (!id) continue;
    const std::string path = directory + "/" + name;
    nodes.push_back(
        {.id = static_cast<int>(*id),
         .cpus = parse_cpu_list(first_line(path + "/cpulist")),
         .memory_bytes = memory_line(read_file(path + "/meminfo").value_or(""), "MemTotal:")});
  }
  std::ranges::sort(nodes, {}, &NumaNode::id);
  if (nodes.empty())
    nodes.push_back({.id = 0, .cpus = machine.cpus, .memory_bytes = machine.memory_bytes});
  return nodes;
}

std::vector<Disk> discover_disks(const std::string& root) {
  const std::string directory = root + "/sys/block";
  std::vector<Disk> disks;
  for (const std::string& name : sorted_names(directory)) {
    const bool is_virtual = std::ranges::any_of(
        std::initializer_list<std::string_view>{"loop", "ram", "zram", "dm-", "md", "fd", "sr"},
        [&](std::string_view prefix) { return name.starts_with(prefix); });
    const std::string path = directory + "/" + name;
    const int64_t size = parse_integer(first_line(path + "/size")).value_or(0) * kSectorBytes;
    if (is_virtual || size == 0) continue;
    disks.push_back({.name = name,
                     .model = first_line(path + "/device/model"),
                     .size_bytes = size,
                     .rotational = first_line(path + "/queue/rotational") == "1"});
  }
  return disks;
}

}  // namespace

std::vector<int> parse_cpu_list(std::string_view text) {
  std::vector<int> cpus;
  if (trim(text).empty()) return cpus;
  for (const std::string_view range : split(trim(text), ',')) {
    const size_t dash = range.find('-');
    const auto first = parse_integer(range.substr(0, dash));
    const auto last =
        dash == std::string_view::npos ? first : parse_integer(range.substr(dash + 1));
    if (!first || !last || *first < 0 || *last < *first || *last >= kMostCpus) return {};
    for (int64_t cpu = *first; cpu <= *last; ++cpu) cpus.push_back(static_cast<int>(cpu));
  }
  return cpus;
}

Result<Machine> discover_machine(const std::string& root) {
  Machine machine;
  utsname name{};
  ::uname(&name);
  const std::string_view processor = name.machine;
  machine.architecture = processor == "x86_64"    ? "amd64"
                         : processor == "aarch64" ? "arm64"
                                                  : std::string(processor);
  machine.hostname = first_line(root + "/proc/sys/kernel/hostname");
  machine.kernel = first_line(root + "/proc/sys/kernel/osrelease");
  machine.boot_id = first_line(root + "/proc/sys/kernel/random/boot_id");
  machine.machine_id = first_line(root + "/etc/machine-id");
  machine.os_image = value_of(read_file(root + "/etc/os-release").value_or(""), "PRETTY_NAME", '=');

  const std::string cpuinfo = read_file(root + "/proc/cpuinfo").value_or("");
  machine.cpu_model = value_of(cpuinfo, "model name", ':');
  machine.cpus = parse_cpu_list(first_line(root + "/sys/devices/system/cpu/online"));
  if (machine.cpus.empty()) {
    for (const std::string_view line : split(cpuinfo, '\n')) {
      if (line.starts_with("processor"))
        machine.cpus.push_back(static_cast<int>(machine.cpus.size()));
    }
  }
  if (machine.cpus.empty())
    return fail(ErrorCode::kInternal, "no processor found",
                root + "/sys/devices/system/cpu/online, /proc/cpuinfo", "mount /proc and /sys");
  machine.memory_bytes = memory_line(read_file(root + "/proc/meminfo").value_or(""), "MemTotal:");
  if (machine.memory_bytes == 0)
    return fail(ErrorCode::kInternal, "no memory found", root + "/proc/meminfo", "mount /proc");
  machine.numa = discover_numa(root, machine);
  machine.disks = discover_disks(root);
  return machine;
}

}  // namespace berth::node
