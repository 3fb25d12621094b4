#include "node/agent/checkpoint_watch.h"

#include <string_view>

#include <boost/json/parse.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "node/files.h"
#include "objects/json.h"
#include "platform/process.h"

namespace berth::node {
namespace {

constexpr std::string_view kCheckpointVariable = "BERTH_CHECKPOINT_FILE=";

/// When a file as a process sees it was last changed; links stay inside the process's root.
std::optional<Time> modified_in(int pid, const std::string& path) {
  const platform::Fd root(
      ::open(fmt::format("/proc/{}/root", pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return std::nullopt;
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const platform::Fd file(
      static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how)));
  struct stat status{};
  if (!file.valid() || ::fstat(file.get(), &status) != 0) return std::nullopt;
  return Time{status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
}

/// As the container got it in its environment, whatever that was made of; empty where it is unset.
std::string checkpoint_path(const std::string& attempt_folder) {
  const auto text = read_file(attempt_folder + "/bundle/config.json");
  if (!text || text->find(kCheckpointVariable) == std::string::npos) return {};
  boost::system::error_code error;
  const Json config = boost::json::parse(*text, error);
  if (error) return {};
  std::string path;
  for (const Json& variable : objects::find_array(config, {"process", "env"}))
    if (variable.is_string() &&
        std::string_view(variable.get_string()).starts_with(kCheckpointVariable))
      path = std::string_view(variable.get_string()).substr(kCheckpointVariable.size());
  return path;
}

}  // namespace

std::optional<Time> CheckpointWatch::news(const Run& run) {
  if (run.pid <= 0) return std::nullopt;
  Checkpoint& checkpoint = known_[run.pod_uid][run.container];
  if (checkpoint.attempt != run.attempt)
    checkpoint = {run.attempt, checkpoint_path(run.folder), {}};
  if (checkpoint.path.empty()) return std::nullopt;
  const auto changed = modified_in(run.pid, checkpoint.path);
  if (!changed || checkpoint.changed == changed) return std::nullopt;
  checkpoint.changed = changed;
  return changed;
}

}  // namespace berth::node
