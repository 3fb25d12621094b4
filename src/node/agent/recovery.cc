#include "node/agent/recovery.h"

#include <filesystem>
#include <map>
#include <set>
#include <vector>

#include <boost/json/parse.hpp>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/files.h"
#include "node/runtime/mounts.h"

namespace berth::node {
namespace {

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    out.push_back(entry.path().filename());
  return out;
}

/// What an earlier agent left of one pod.
struct Leftover {
  PodSpec pod;
  PodState record;
};

Result<Leftover> read_leftover(const PodPaths& paths, Time now) {
  BERTH_TRY(const std::string object_text, read_file(paths.object()));
  boost::system::error_code parse_error;
  const Json object = boost::json::parse(object_text, parse_error);
  if (parse_error) return fail(ErrorCode::kInternal, "not JSON", paths.object());
  BERTH_TRY(PodSpec pod, read_pod(object));
  PodState record = new_record(pod, now);
  if (const auto text = read_file(paths.state())) {
    const Json state = boost::json::parse(*text, parse_error);
    if (!parse_error) {
      BERTH_TRY(record, record_from_json(state, pod, now));
    }
  }
  return Leftover{std::move(pod), std::move(record)};
}

void adopt_container(const Recovery& recovery, PodHost& host, const ContainerRecord& c,
                     const std::map<std::string, ContainerRuntime::Found>& by_id,
                     std::set<std::string>& known_ids) {
  const std::string& uid = host.pod().uid;
  const std::string id = container_id(uid, c.name, c.attempt);
  known_ids.insert(id);
  if (c.stage != Stage::kStarting && c.stage != Stage::kRunning && c.stage != Stage::kStopping)
    return;
  const bool exit_known = ::access((recovery.context.data_dir + "/exits/" + id).c_str(), F_OK) == 0;
  const auto found = by_id.find(id);
  const std::string bundle = host.paths().attempt(c.name, c.attempt) + "/bundle";
  const bool created =
      found != by_id.end() && found->second.phase == ContainerRuntime::Phase::kCreated;
  if (!exit_known && (created || (found == by_id.end() && c.stage == Stage::kStarting))) {
    host.machine().on_recovered_absent(c.name, c.attempt);
    return;
  }
  struct stat status{};
  Time since = recovery.context.clock.now();
  if (::stat((bundle + "/pid").c_str(), &status) == 0)
    since = Time{status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
  host.machine().on_recovered_running(c.name, c.attempt, since);
  const bool runs =
      found != by_id.end() && found->second.phase != ContainerRuntime::Phase::kStopped;
  if (runs && !exit_known) {
    host.adopt_pid(c.name, found->second.pid);
    return;
  }
  const auto monitor = read_integer(bundle + "/conmon.pid");
  const bool monitored = monitor && *monitor > 0 && ::kill(static_cast<pid_t>(*monitor), 0) == 0;
  // A monitor that still lives is about to write the exit code.
  if (!exit_known && monitored) return;
  recovery.context.loop.post([&pods = recovery.pods, uid, name = c.name, attempt = c.attempt] {
    if (const auto pod = pods.find(uid); pod != pods.end())
      pod->second->exited(name, attempt, false);
  });
}

}  // namespace

Result<> recover_pods(const Recovery& recovery) {
  NodeContext& context = recovery.context;
  BERTH_TRY(const auto running, context.runtime.list());
  std::map<std::string, ContainerRuntime::Found> by_id;
  for (const auto& found : running) by_id[found.id] = found;
  std::set<std::string> known_ids;
  std::set<std::string> known_pods;
  for (const std::string& uid : names_in(context.data_dir + "/pods")) {
    const PodPaths paths(context.data_dir, uid);
    auto left = read_leftover(paths, context.clock.now());
    if (!left) {
      // Killed before the pod was written down: nothing of it can have started.
      (void)unmount_below(paths.root);
      (void)remove_tree(paths.root);
      continue;
    }
    known_pods.insert(uid);
    (void)recovery.devices.take(
        uid, left->record.ended ? std::vector<AssignedDevice>{} : left->pod.devices);
    auto host = std::make_shared<PodHost>(context, left->pod, left->record, recovery.on_finished);
    for (auto* list : {&left->record.init, &left->record.regular})
      for (const ContainerRecord& c : *list) adopt_container(recovery, *host, c, by_id, known_ids);
    recovery.pods[uid] = std::move(host);
  }
  for (const auto& [id, found] : by_id)
    if (!known_ids.contains(id)) (void)context.runtime.remove(id);
  if (const auto networks = context.network.list())
    for (const std::string& uid : *networks)
      if (!known_pods.contains(uid)) (void)context.network.release(uid);
  return {};
}

}  // namespace berth::node
