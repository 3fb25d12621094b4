#include "node/agent/recovery.h"

#include <filesystem>
#include <map>
#include <set>
#include <vector>

#include <boost/json/parse.hpp>
#include <spdlog/spdlog.h>
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

/// What is found on the machine, as against what the records say.
struct Machine {
  std::map<std::string, ContainerRuntime::Found> containers;
  std::set<std::string> monitored;
};

void adopt_container(const Recovery& recovery, const Machine& machine, PodHost& host,
                     const ContainerRecord& c) {
  if (!alive(c)) return;
  const NodeContext& context = recovery.context;
  const std::string& uid = host.pod().uid;
  const std::string id = container_id(uid, c.name, c.attempt);
  const bool exit_known =
      ::access((context.runtime.options().exit_dir + "/" + id).c_str(), F_OK) == 0;
  const auto found = machine.containers.find(id);
  const bool there = found != machine.containers.end();
  const bool never_started =
      there ? found->second.phase == ContainerRuntime::Phase::kCreated : !exit_known;
  // What was created but not started is made anew: an exit code of it says nothing about the
  // program, and its monitor would write one at any time. (After a restart of the machine there is
  // nothing either, also of what ran: that is lost.)
  if (never_started && (there || c.stage == Stage::kStarting)) {
    if (const auto removed = context.runtime.remove(id); !removed)
      spdlog::warn("node: {}", removed.error().to_string());
    host.machine().on_recovered_absent(c.name, c.attempt);
    return;
  }
  const std::string bundle = host.paths().attempt(c.name, c.attempt) + "/bundle";
  struct stat status{};
  Time since = context.clock.now();
  if (::stat((bundle + "/pid").c_str(), &status) == 0)
    since = Time{status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
  host.machine().on_recovered_running(c.name, c.attempt, since);
  const bool runs = there && found->second.phase != ContainerRuntime::Phase::kStopped;
  if (runs && !exit_known) {
    host.adopt_pid(c.name, found->second.pid);
    // The last agent may have been killed between the start and this.
    (void)set_cpu_weights(recovery.context, host.pod(), {c.name, c.attempt});
    return;
  }
  // A monitor that still lives is about to write the exit code.
  if (!exit_known && machine.monitored.contains(id)) return;
  context.loop.post([&pods = recovery.pods, uid, name = c.name, attempt = c.attempt] {
    if (const auto pod = pods.find(uid); pod != pods.end())
      pod->second->exited(name, attempt, /*monitor_gone=*/true);
  });
}

/// What belongs to no pod: an earlier agent was killed before it could remove it.
void remove_unknown(const NodeContext& context, const Machine& machine,
                    const std::set<std::string>& containers, const std::set<std::string>& pods) {
  std::set<std::string> found = machine.monitored;
  for (const auto& [id, container] : machine.containers) found.insert(id);
  for (const std::string& id : names_in(context.runtime.options().exit_dir)) found.insert(id);
  for (const std::string& id : found)
    if (!containers.contains(id)) (void)context.runtime.remove(id);
  context.runtime.sweep();
  if (const auto networks = context.network.list())
    for (const std::string& uid : *networks)
      if (!pods.contains(uid)) (void)context.network.release(uid);
}

}  // namespace

Result<> recover_pods(const Recovery& recovery) {
  NodeContext& context = recovery.context;
  BERTH_TRY(const auto containers, context.runtime.list());
  Machine machine;
  for (const auto& found : containers) machine.containers[found.id] = found;
  machine.monitored = context.runtime.monitored();
  std::set<std::string> known_ids;
  std::set<std::string> known_pods;
  for (const std::string& uid : names_in(context.data_dir + "/pods")) {
    const PodPaths paths(context.data_dir, uid);
    auto left = read_leftover(paths, context.clock.now());
    if (!left) {
      // Killed before the pod was written down, when nothing of it could have started, or after all
      // of it had ended.
      (void)unmount_below(paths.root);
      (void)remove_tree(paths.root);
      continue;
    }
    known_pods.insert(uid);
    (void)recovery.devices.take(
        uid, left->record.ended ? std::vector<AssignedDevice>{} : left->pod.devices);
    auto host = std::make_shared<PodHost>(context, left->pod, left->record, recovery.on_finished);
    for (const auto* list : {&left->record.init, &left->record.regular})
      for (const ContainerRecord& c : *list) {
        known_ids.insert(container_id(uid, c.name, c.attempt));
        adopt_container(recovery, machine, *host, c);
      }
    recovery.pods[uid] = std::move(host);
  }
  remove_unknown(context, machine, known_ids, known_pods);
  return {};
}

}  // namespace berth::node
