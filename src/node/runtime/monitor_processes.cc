#include "node/runtime/monitor_processes.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>

#include "base/text.h"
#include "node/files.h"
#include "platform/deadline.h"

namespace berth::node {
namespace {

constexpr int kPollMilliseconds = 2;

/// The container that a command line of conmon or `runc create` is for.
std::optional<std::string> container_of(std::string_view command_line, const std::string& root) {
  if (command_line.ends_with('\0')) command_line.remove_suffix(1);
  const auto words = split(command_line, '\0');
  if (std::ranges::find(words, root) == words.end()) return std::nullopt;
  // conmon has `-c ID`, runc has `create ... ID`.
  if (const auto flag = std::ranges::find(words, "-c");
      flag != words.end() && flag + 1 != words.end())
    return std::string(flag[1]);
  if (std::ranges::find(words, "create") != words.end()) return std::string(words.back());
  return std::nullopt;
}

std::vector<pid_t> monitors_of(const std::string& state_dir, const std::string& id) {
  std::vector<pid_t> out;
  for (const MonitorProcess& p : monitor_processes(state_dir))
    if (p.container == id) out.push_back(p.pid);
  return out;
}

/// Waits until a container has no monitor; kills those that are there once `patience` is over.
Result<> until_none(const std::string& state_dir, const std::string& id, Duration patience,
                    Duration limit) {
  const platform::Deadline kill_at(patience);
  const platform::Deadline deadline(limit);
  for (;;) {
    const auto left = monitors_of(state_dir, id);
    if (left.empty()) return {};
    if (deadline.passed())
      return fail(ErrorCode::kTimeout, fmt::format("process {} does not end", left.front()), id);
    if (kill_at.passed())
      for (const pid_t pid : left) ::kill(pid, SIGKILL);
    ::poll(nullptr, 0, kPollMilliseconds);
  }
}

}  // namespace

std::vector<MonitorProcess> monitor_processes(const std::string& state_dir) {
  const std::string root = fmt::format("--root={}/runc", state_dir);
  std::vector<MonitorProcess> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (status != std::errc() || end != name.data() + name.size()) continue;
    // Kernel threads, and what waits to be reaped, have none.
    const auto words = read_file(fmt::format("/proc/{}/cmdline", pid));
    if (!words) continue;
    if (auto container = container_of(*words, root)) out.push_back({pid, *std::move(container)});
  }
  return out;
}

Result<> stop_creation(const std::string& state_dir, const std::string& id, Duration limit) {
  return until_none(state_dir, id, Duration{}, limit);
}

Result<> await_monitor(const std::string& state_dir, const std::string& id, Duration limit) {
  return until_none(state_dir, id, limit, limit + Duration::seconds(5));
}

}  // namespace berth::node
