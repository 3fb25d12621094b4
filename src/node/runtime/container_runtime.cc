#include "node/runtime/container_runtime.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "node/files.h"
#include "node/runtime/monitor_processes.h"
#include "platform/deadline.h"

namespace berth::node {
namespace {

using platform::Fd;
using platform::ProcessOptions;
using platform::ProcessResult;
using platform::run_checked;
using platform::run_process;
using platform::spawn_process;
using platform::wait_process;

constexpr std::string_view kExecPrefix = "exec-";
constexpr Duration kRuncTimeout = Duration::seconds(60);
constexpr Duration kCreateTimeout = Duration::seconds(120);
constexpr Duration kMonitorEnd = Duration::seconds(10);

uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

/// What conmon says on the sync pipe: one line of JSON, then the end.
Result<std::string> read_sync(int fd, Duration timeout) {
  std::string text;
  std::array<char, 4096> buffer;
  const platform::Deadline deadline(timeout);
  while (text.find('\n') == std::string::npos) {
    if (deadline.passed())
      return fail(ErrorCode::kTimeout, "conmon said nothing", {}, "is the machine overloaded?");
    pollfd ready{fd, POLLIN, 0};
    if (::poll(&ready, 1, deadline.milliseconds_left()) <= 0) continue;
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(buffer.data(), static_cast<size_t>(n));
  }
  return text;
}

Result<pid_t> parse_sync(const std::string& text) {
  boost::system::error_code parse_error;
  const Json answer = boost::json::parse(trim(text), parse_error);
  if (parse_error)
    return fail(ErrorCode::kInternal, "the container was not created: conmon ended early");
  const int64_t pid = objects::find_int(answer, {"data"}, objects::find_int(answer, {"pid"}, -1));
  if (pid > 0) return static_cast<pid_t>(pid);
  return fail(ErrorCode::kInternal,
              runc_message(objects::find_string(answer, {"message"}, "no reason given")), "runc");
}

ContainerRuntime::Phase phase_of(std::string_view text) {
  if (text == "created" || text == "creating") return ContainerRuntime::Phase::kCreated;
  if (text == "running") return ContainerRuntime::Phase::kRunning;
  if (text == "paused") return ContainerRuntime::Phase::kPaused;
  return ContainerRuntime::Phase::kStopped;
}

bool says_absent(const std::string& errors) {
  return errors.find("does not exist") != std::string::npos;
}

/// A universally unique id for conmon's journal fields, made of the container's own name.
std::string uuid_of(const std::string& id) {
  return fmt::format("{:016x}{:016x}", fnv1a(id), fnv1a(id + "#"));
}

}  // namespace

std::string container_id(const std::string& pod_uid, const std::string& container, int attempt) {
  constexpr size_t kLongest = 41;
  if (container.size() <= kLongest) return fmt::format("{}-{}-{}", pod_uid, container, attempt);
  return fmt::format("{}-{}-{:08x}-{}", pod_uid, container.substr(0, 32),
                     static_cast<uint32_t>(fnv1a(container)), attempt);
}

std::string runc_message(std::string_view log) {
  constexpr std::string_view kKey = " msg=\"";
  std::string message(trim(log));
  if (const size_t at = message.rfind(kKey); at != std::string::npos) {
    const std::string quoted = message.substr(at + kKey.size());
    message.clear();
    for (size_t i = 0; i < quoted.size() && quoted[i] != '"'; ++i)
      if (quoted[i] != '\\')
        message += quoted[i];
      else if (++i < quoted.size())
        message += quoted[i] == 'n' || quoted[i] == 't' ? ' ' : quoted[i];
  }
  for (const std::string_view noise :
       {"container create failed: ", "runc create failed: ", "unable to start container process: "})
    if (message.starts_with(noise)) message.erase(0, noise.size());
  return message;
}

Result<ContainerRuntime> ContainerRuntime::open(Options options) {
  BERTH_CHECK(make_directories(options.state_dir + "/runc", 0700));
  BERTH_CHECK(make_directories(options.state_dir + "/s", 0700));
  BERTH_CHECK(make_directories(options.exit_dir, 0700));
  return ContainerRuntime(std::move(options));
}

ProcessOptions ContainerRuntime::runc(std::vector<std::string> arguments) const {
  ProcessOptions options;
  options.argv = {options_.runc, "--root", options_.state_dir + "/runc"};
  options.argv.insert(options.argv.end(), std::make_move_iterator(arguments.begin()),
                      std::make_move_iterator(arguments.end()));
  options.timeout = kRuncTimeout;
  options.reaper = reaper_.get();
  return options;
}

/// runc makes the folder first and its state.json last; the pipe in it goes when the container is
/// started.
bool ContainerRuntime::never_started(const std::string& id) const {
  return ::access((folder(id) + "/state.json").c_str(), F_OK) != 0 ||
         ::access((folder(id) + "/exec.fifo").c_str(), F_OK) == 0;
}

Result<ContainerRuntime::Found> ContainerRuntime::find(const std::string& id) const {
  // Without its folder there is nothing to ask runc for (saves 20 ms).
  if (::access(folder(id).c_str(), F_OK) != 0)
    return fail(ErrorCode::kNotFound, "no such container", id);
  if (never_started(id)) return Found{id, 0, Phase::kCreated};
  BERTH_TRY(const ProcessResult result, run_process(runc({"state", id})));
  if (result.exit_code != 0) return fail(ErrorCode::kNotFound, "no such container", id);
  boost::system::error_code parse_error;
  const Json state = boost::json::parse(result.output, parse_error);
  if (parse_error) return fail(ErrorCode::kInternal, "runc state printed no JSON", id);
  return Found{id, static_cast<pid_t>(objects::find_int(state, {"pid"})),
               phase_of(objects::find_string(state, {"status"}))};
}

Result<pid_t> ContainerRuntime::ensure_created(const Launch& launch) const {
  const auto existing = find(launch.id);
  if (existing && (existing->phase == Phase::kRunning || existing->phase == Phase::kPaused))
    return existing->pid;
  if (existing) BERTH_CHECK(remove(launch.id));
  auto created = create(launch);
  // A refused runc leaves nothing; a killed one leaves a folder that only --force removes.
  if (!created) (void)remove(launch.id);
  return created;
}

Result<pid_t> ContainerRuntime::create(const Launch& launch) const {
  // A runc that was killed leaves a `.pid` that the next one stumbles over.
  BERTH_CHECK(remove_tree(launch.bundle));
  BERTH_CHECK(make_directories(launch.bundle, 0700));
  BERTH_CHECK(
      write_file_atomically(launch.bundle + "/config.json", boost::json::serialize(launch.spec)));
  ::unlink(fmt::format("{}/{}", options_.exit_dir, launch.id).c_str());

  BERTH_TRY(platform::Pipe sync, platform::make_pipe());
  BERTH_TRY(platform::Pipe start, platform::make_pipe());
  const int sync_fd = sync.write_end.get();
  const int start_fd = start.read_end.get();
  ProcessOptions conmon;
  conmon.argv = {options_.conmon,
                 "--api-version",
                 "1",
                 "-c",
                 launch.id,
                 "-u",
                 uuid_of(launch.id),
                 "-r",
                 options_.runc,
                 "-b",
                 launch.bundle,
                 "-p",
                 launch.bundle + "/pid",
                 "--conmon-pidfile",
                 launch.bundle + "/conmon.pid",
                 "--exit-dir",
                 options_.exit_dir,
                 "-l",
                 "k8s-file:" + launch.log_path,
                 "--socket-dir-path",
                 options_.state_dir + "/s",
                 "--log-level",
                 "error",
                 "--runtime-arg",
                 "--root=" + options_.state_dir + "/runc"};
  conmon.directory = launch.bundle;  // where it leaves a file when the kernel killed for memory
  if (launch.terminal) conmon.argv.emplace_back("-t");
  if (launch.open_stdin) conmon.argv.emplace_back("-i");
  conmon.env.push_back(fmt::format("_OCI_SYNCPIPE={}", sync_fd));
  conmon.env.push_back(fmt::format("_OCI_STARTPIPE={}", start_fd));
  conmon.keep = {{sync_fd, sync_fd}, {start_fd, start_fd}};
  const platform::Stopwatch took;
  BERTH_TRY(const pid_t pid, spawn_process(conmon));
  sync.write_end.reset();
  start.read_end.reset();
  // It waits for this byte before it forks: what it starts is in the monitors' cgroup from birth,
  // so that a service manager that stops Berth's own cgroup does not reach it.
  if (!options_.monitor_cgroup_procs.empty())
    (void)write_in_place(options_.monitor_cgroup_procs, fmt::format("{}", pid));
  if (::write(start.write_end.get(), "x", 1) != 1)
    return fail(ErrorCode::kInternal, "conmon is gone", options_.conmon);
  start.write_end.reset();

  const auto answer = read_sync(sync.read_end.get(), kCreateTimeout);
  // The first conmon ends when the second, which stays, has spoken.
  const auto ended = wait_process(pid, Duration::seconds(10), reaper_.get());
  if (!answer || !ended || !*ended) {
    ::kill(pid, SIGKILL);
    if (!ended || !*ended) (void)wait_process(pid, Duration::seconds(10));
  }
  spdlog::debug("node: conmon create {} took {} us", launch.id, took.elapsed().ns / 1000);
  if (!answer) return std::unexpected(answer.error());
  return parse_sync(*answer);
}

Result<> ContainerRuntime::ensure_started(const std::string& id) const {
  const platform::Stopwatch took;
  BERTH_TRY(const ProcessResult result, run_process(runc({"start", id})));
  spdlog::debug("node: runc start {} took {} us", id, took.elapsed().ns / 1000);
  if (result.exit_code == 0) return {};
  const auto found = find(id);
  if (found && found->phase == Phase::kRunning) return {};
  return fail(ErrorCode::kInternal, runc_message(result.errors), "runc start");
}

Result<> ContainerRuntime::signal(const std::string& id, int number) const {
  BERTH_TRY(const ProcessResult result, run_process(runc({"kill", id, fmt::format("{}", number)})));
  if (result.exit_code == 0 || says_absent(result.errors) ||
      result.errors.find("not running") != std::string::npos ||
      result.errors.find("already finished") != std::string::npos)
    return {};
  return fail(ErrorCode::kInternal, runc_message(result.errors), "runc kill");
}

Result<> ContainerRuntime::remove(const std::string& id) const {
  const std::string exit_file = fmt::format("{}/{}", options_.exit_dir, id);
  const bool there = ::access(folder(id).c_str(), F_OK) == 0;
  // A monitor that has not written the exit code yet would do so afterwards, and one that is about
  // to create would create.
  const bool watched = ::access(exit_file.c_str(), F_OK) != 0;
  const bool started = there && !never_started(id);
  if (watched && !started) BERTH_CHECK(stop_creation(options_.state_dir, id, kMonitorEnd));
  if (there) {
    BERTH_TRY(const ProcessResult result, run_process(runc({"delete", "--force", id})));
    if (result.exit_code != 0 && !says_absent(result.errors))
      return fail(ErrorCode::kInternal, runc_message(result.errors), "runc delete");
  }
  if (watched && started) BERTH_CHECK(await_monitor(options_.state_dir, id, kMonitorEnd));
  ::unlink(exit_file.c_str());
  ::unlink(fmt::format("{}/s/{}", options_.state_dir, uuid_of(id)).c_str());  // conmon's link
  return remove_tree(fmt::format("{}/s/{}", options_.state_dir, id));
}

std::set<std::string> ContainerRuntime::monitored() const {
  std::set<std::string> out;
  for (const MonitorProcess& p : monitor_processes(options_.state_dir)) out.insert(p.container);
  return out;
}

Result<ProcessResult> ContainerRuntime::exec(const std::string& id,
                                             const std::vector<std::string>& argv,
                                             Duration timeout) const {
  std::string pid_file = fmt::format("{}/{}XXXXXX", options_.state_dir, kExecPrefix);
  const Fd unique(::mkostemp(pid_file.data(), O_CLOEXEC));
  if (!unique.valid()) return errno_error("cannot make a file", pid_file);
  std::vector<std::string> arguments = {"exec", "--pid-file", pid_file, id};
  arguments.insert(arguments.end(), argv.begin(), argv.end());
  ProcessOptions options = runc(std::move(arguments));
  options.timeout = timeout;
  options.settles = false;
  options.output_limit = 10 * 1024;
  auto result = run_process(options);
  // runc writes beside the file and then renames; it may have been stopped between the two.
  const std::string begun =
      fmt::format("{}/.{}", options_.state_dir, pid_file.substr(options_.state_dir.size() + 1));
  for (const std::string& file : {pid_file, begun}) {
    // runc is gone, but what it started in the container is not.
    if (const auto pid = read_integer(file); result && result->timed_out && pid && *pid > 0)
      ::kill(static_cast<pid_t>(*pid), SIGKILL);
    ::unlink(file.c_str());
  }
  return result;
}

Result<std::vector<ContainerRuntime::Found>> ContainerRuntime::list() const {
  BERTH_TRY(const ProcessResult result, run_checked(runc({"list", "--format", "json"})));
  boost::system::error_code parse_error;
  const Json listing = boost::json::parse(result.output, parse_error);
  std::map<std::string, Found> out;
  if (!parse_error && listing.is_array())  // runc prints `null` for none
    for (const Json& entry : listing.get_array()) {
      const std::string id(objects::find_string(entry, {"id"}));
      out[id] = {id, static_cast<pid_t>(objects::find_int(entry, {"pid"})),
                 phase_of(objects::find_string(entry, {"status"}))};
    }
  // runc leaves out what it had only begun to make.
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder(""), error)) {
    const std::string id = entry.path().filename();
    if (never_started(id)) out[id] = {id, out[id].pid, Phase::kCreated};
  }
  std::vector<Found> found;
  for (auto& [id, one] : out) found.push_back(std::move(one));
  return found;
}

void ContainerRuntime::sweep() const {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(options_.state_dir, error))
    if (const std::string name = entry.path().filename();
        name.starts_with(kExecPrefix) || (name.starts_with('.') && name.find(kExecPrefix) == 1))
      ::unlink(entry.path().c_str());
  for (const auto& link : std::filesystem::directory_iterator(options_.state_dir + "/s", error))
    if (link.is_symlink() && !std::filesystem::exists(link.path(), error))
      ::unlink(link.path().c_str());
}

void ContainerRuntime::close() const {
  for (const std::string& folder : {options_.state_dir + "/runc", options_.state_dir + "/s",
                                    options_.exit_dir, options_.state_dir})
    if (::rmdir(folder.c_str()) != 0) return;
}

Result<> ContainerRuntime::reopen_log(const std::string& bundle) const {
  const std::string control = bundle + "/ctl";
  const Fd fd(::open(control.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid()) return errno_error("cannot reach conmon", control);
  constexpr std::string_view kReopen = "2 0 0\n";
  if (::write(fd.get(), kReopen.data(), kReopen.size()) != static_cast<ssize_t>(kReopen.size()))
    return errno_error("cannot reach conmon", control);
  return {};
}

}  // namespace berth::node
