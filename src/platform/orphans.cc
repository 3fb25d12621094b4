#include "platform/orphans.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/text.h"
#include "platform/deadline.h"

namespace berth::platform {
namespace {

constexpr std::string_view kMark = "BERTH_CALLER=";
constexpr int kPollMilliseconds = 5;
/// The kernel may hold one up (a dead disk): no reason not to start.
constexpr Duration kAfterKill = Duration::seconds(5);

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// When a process started, in the kernel's ticks since boot: with its id, it names it for good.
/// Empty when there is none or it waits to be reaped.
std::string start_time(std::string_view pid) {
  const std::string text = contents(fmt::format("/proc/{}/stat", pid));
  // The name, in parentheses, may hold anything; what follows is state, then 18 numbers before it.
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  const auto fields = split(std::string_view(text).substr(name_end + 2), ' ');
  if (fields.size() < 20 || fields[0] == "Z") return {};
  return std::string(fields[19]);
}

/// Is it a program of a Berth that is gone?
bool is_orphan(std::string_view pid) {
  const std::string environment = contents(fmt::format("/proc/{}/environ", pid));
  for (const std::string_view variable : split(environment, '\0')) {
    if (!variable.starts_with(kMark)) continue;
    const std::string_view caller = variable.substr(kMark.size());
    const size_t dot = caller.find('.');
    return dot != std::string_view::npos &&
           start_time(caller.substr(0, dot)) != caller.substr(dot + 1);
  }
  return false;
}

std::vector<pid_t> orphans() {
  std::vector<pid_t> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    int pid = 0;
    const auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (status != std::errc() || end != name.data() + name.size()) continue;
    if (is_orphan(name)) out.push_back(pid);
  }
  return out;
}

}  // namespace

std::string caller_mark() {
  return fmt::format("{}{}.{}", kMark, ::getpid(), start_time("self"));
}

int settle_orphans(Duration limit) {
  const Deadline patience(limit);
  const Deadline end(limit + kAfterKill);
  std::vector<pid_t> left = orphans();
  const int found = static_cast<int>(left.size());
  while (!left.empty() && !end.passed()) {
    if (patience.passed())
      for (const pid_t pid : left) ::kill(pid, SIGKILL);
    ::poll(nullptr, 0, kPollMilliseconds);
    left = orphans();
  }
  return found;
}

}  // namespace berth::platform
