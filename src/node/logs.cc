#include "node/logs.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/files.h"
#include "node/pod/pod_paths.h"
#include "node/runtime/container_runtime.h"
#include "platform/process.h"

namespace berth::node {
namespace {

using platform::Fd;

struct LogLine {
  std::string_view time;
  bool partial = false;
  std::string_view text;
};

std::optional<LogLine> parse_line(std::string_view line) {
  const size_t stream = line.find(' ');
  if (stream == std::string_view::npos) return std::nullopt;
  const size_t tag = line.find(' ', stream + 1);
  if (tag == std::string_view::npos) return std::nullopt;
  const size_t text = line.find(' ', tag + 1);
  LogLine out;
  out.time = line.substr(0, stream);
  out.partial = line.substr(tag + 1, 1) == "P";
  out.text = text == std::string_view::npos ? std::string_view() : line.substr(text + 1);
  return out;
}

/// Turns log files into what a reader asked for, piece by piece.
class LogFilter {
 public:
  explicit LogFilter(const LogQuery& query) : query_(query), left_(query.limit_bytes) {}

  /// Takes raw bytes, gives what may be shown. What is after the last newline waits.
  std::string feed(std::string_view bytes) {
    rest_ += bytes;
    std::string out;
    size_t from = 0;
    for (size_t newline; (newline = rest_.find('\n', from)) != std::string::npos;
         from = newline + 1)
      add(std::string_view(rest_).substr(from, newline - from), out);
    rest_.erase(0, from);
    return out;
  }
  bool full() const { return left_ && *left_ <= 0; }

 private:
  void add(std::string_view raw, std::string& out) {
    const auto line = parse_line(raw);
    if (!line || full()) return;
    if (query_.since) {
      const auto time = parse_time(line->time);
      if (time && *time < *query_.since) return;
    }
    std::string text;
    if (query_.timestamps && !inside_) text = fmt::format("{} ", line->time);
    text += line->text;
    if (!line->partial) text.push_back('\n');
    inside_ = line->partial;
    if (left_) {
      text.resize(std::min<size_t>(text.size(), static_cast<size_t>(*left_)));
      *left_ -= static_cast<int64_t>(text.size());
    }
    out += text;
  }

  LogQuery query_;
  std::optional<int64_t> left_;
  std::string rest_;
  bool inside_ = false;  ///< the last line was partial
};

/// Where the last `lines` full lines begin, over several files: (file, offset).
std::pair<size_t, off_t> tail_start(const std::vector<std::string>& files, int64_t lines) {
  int64_t wanted = lines + 1;  // the newline that ends the line before
  for (size_t i = files.size(); i-- > 0;) {
    const Fd fd(::open(files[i].c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status{};
    if (!fd.valid() || ::fstat(fd.get(), &status) != 0) continue;
    std::array<char, 65536> buffer;
    off_t at = status.st_size;
    while (at > 0) {
      const auto size = static_cast<size_t>(std::min<off_t>(at, buffer.size()));
      at -= static_cast<off_t>(size);
      const ssize_t n = ::pread(fd.get(), buffer.data(), size, at);
      for (ssize_t k = n; k-- > 0;) {
        if (buffer[static_cast<size_t>(k)] != '\n') continue;
        // A partial line is not a line: look at its tag only where it matters, for whole counts
        // the kubelet counts raw lines too.
        if (--wanted == 0) return {i, at + k + 1};
      }
    }
    // The start of a file ends the line of the file before.
  }
  return {0, 0};
}

Result<> copy_from(const std::string& file, off_t offset, LogFilter& filter,
                   const std::function<bool(std::string)>& write) {
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return errno == ENOENT ? Result<>{} : errno_error("cannot read the log", file);
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t n = ::pread(fd.get(), buffer.data(), buffer.size(), offset);
    if (n <= 0 || filter.full()) break;
    offset += n;
    if (std::string out = filter.feed({buffer.data(), static_cast<size_t>(n)});
        !out.empty() && !write(std::move(out)))
      break;
  }
  return {};
}

}  // namespace

std::vector<std::string> log_files(const std::string& log_path) {
  std::vector<std::string> out;
  for (int i = kLogFiles - 1; i > 0; --i) {
    std::string file = fmt::format("{}.{}", log_path, i);
    if (::access(file.c_str(), F_OK) == 0) out.push_back(std::move(file));
  }
  if (::access(log_path.c_str(), F_OK) == 0) out.push_back(log_path);
  return out;
}

Result<std::string> read_log(const std::vector<std::string>& files, const LogQuery& query) {
  LogFilter filter(query);
  std::string out;
  auto [first, offset] =
      query.tail_lines ? tail_start(files, *query.tail_lines) : std::pair<size_t, off_t>(0, 0);
  for (size_t i = first; i < files.size(); ++i) {
    BERTH_CHECK(copy_from(files[i], i == first ? offset : 0, filter, [&](std::string piece) {
      out += piece;
      return true;
    }));
  }
  return out;
}

struct LogFollower::State {
  std::string path;
  LogQuery query;
  bool follow = false;
  std::function<bool()> ended;
  Sink sink;
  Fd stop;
  std::atomic<bool> stopping = false;
  std::mutex mutex;
  std::condition_variable resumed;
  bool paused = false;  // guarded by mutex
  std::thread thread;

  /// False when the reader is being destroyed.
  bool deliver(std::string bytes) {
    {
      std::unique_lock lock(mutex);
      resumed.wait(lock, [this] { return !paused || stopping; });
    }
    if (stopping) return false;
    if (!sink.write(std::move(bytes))) {
      const std::lock_guard lock(mutex);
      paused = !resumed_early;
      resumed_early = false;
    }
    return true;
  }
  bool resumed_early = false;  // guarded by mutex

  void run() {
    auto how = read();
    if (!stopping) sink.end(std::move(how));
  }

  Result<> read() {
    LogFilter filter(query);
    const auto write = [this](std::string bytes) { return deliver(std::move(bytes)); };
    const Fd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    const std::string folder = path.substr(0, path.rfind('/'));
    if (follow && (!watch.valid() || ::inotify_add_watch(watch.get(), folder.c_str(),
                                                         IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0))
      return errno_error("cannot follow the log", folder);

    const auto files = log_files(path);
    auto [first, offset] =
        query.tail_lines ? tail_start(files, *query.tail_lines) : std::pair<size_t, off_t>(0, 0);
    Fd current;
    off_t at = 0;
    for (size_t i = first; i < files.size(); ++i) {
      current = Fd(::open(files[i].c_str(), O_RDONLY | O_CLOEXEC));
      at = i == first ? offset : 0;
      drain(current, at, filter, write);
    }
    while (follow && !stopping && !filter.full()) {
      // Asked before reading: what was written before the end is read after it.
      const bool over = ended();
      if (current.valid()) drain(current, at, filter, write);
      struct stat open_file{};
      struct stat named{};
      const bool there = ::stat(path.c_str(), &named) == 0;
      if (there && (!current.valid() || (::fstat(current.get(), &open_file) == 0 &&
                                         open_file.st_ino != named.st_ino))) {
        current = Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        at = 0;
        continue;
      }
      if (over) break;
      // The end of a run may write nothing: look again now and then.
      std::array<pollfd, 2> wait = {pollfd{watch.get(), POLLIN, 0}, pollfd{stop.get(), POLLIN, 0}};
      ::poll(wait.data(), wait.size(), 250);
      std::array<char, 4096> events;
      while (::read(watch.get(), events.data(), events.size()) > 0) continue;
    }
    return {};
  }

  static void drain(const Fd& fd, off_t& at, LogFilter& filter,
                    const std::function<bool(std::string)>& write) {
    std::array<char, 65536> buffer;
    while (fd.valid() && !filter.full()) {
      const ssize_t n = ::pread(fd.get(), buffer.data(), buffer.size(), at);
      if (n <= 0) return;
      at += n;
      if (std::string out = filter.feed({buffer.data(), static_cast<size_t>(n)});
          !out.empty() && !write(std::move(out)))
        return;
    }
  }
};

LogFollower::LogFollower(std::string log_path, LogQuery query, bool follow,
                         std::function<bool()> ended, Sink sink)
    : state_(std::make_unique<State>()) {
  state_->path = std::move(log_path);
  state_->query = query;
  state_->follow = follow;
  state_->ended = std::move(ended);
  state_->sink = std::move(sink);
  state_->stop = Fd(::eventfd(0, EFD_CLOEXEC));
  state_->thread = std::thread([s = state_.get()] { s->run(); });
}

LogFollower::~LogFollower() {
  state_->stopping = true;
  const uint64_t one = 1;
  (void)!::write(state_->stop.get(), &one, sizeof one);
  {
    const std::lock_guard lock(state_->mutex);
    state_->paused = false;
  }
  state_->resumed.notify_all();
  state_->thread.join();
}

void LogFollower::resume() {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->paused) state_->resumed_early = true;
    state_->paused = false;
  }
  state_->resumed.notify_all();
}

Result<std::string> find_log(const std::string& data_dir, const std::string& pod_uid,
                             const std::string& container, bool previous) {
  namespace fs = std::filesystem;
  // Both become parts of a path.
  for (const std::string* name : {&pod_uid, &container})
    if (name->empty() || name->find('/') != std::string::npos || *name == "..")
      return fail(ErrorCode::kInvalid, "not the name of a container");
  std::error_code error;
  int newest = -1;
  std::string folder;
  for (const auto& entry : fs::directory_iterator(data_dir + "/logs", error)) {
    if (!entry.path().filename().string().ends_with("_" + pod_uid)) continue;
    folder = (entry.path() / container).string();
    for (const auto& file : fs::directory_iterator(folder, error)) {
      const std::string name = file.path().filename();
      int number = -1;
      const auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), number);
      if (status == std::errc() && std::string_view(end) == ".log")
        newest = std::max(newest, number);
    }
  }
  if (newest < 0)
    return fail(ErrorCode::kNotFound, fmt::format("container \"{}\" has not started", container),
                {}, "wait until it runs");
  if (previous && newest == 0)
    return fail(ErrorCode::kNotFound,
                fmt::format("previous terminated container \"{}\" not found", container));
  return fmt::format("{}/{}.log", folder, newest - (previous ? 1 : 0));
}

bool log_is_over(const std::string& data_dir, const std::string& exit_dir,
                 const std::string& pod_uid, const std::string& container,
                 const std::string& log_path) {
  const size_t slash = log_path.rfind('/') + 1;
  int attempt = 0;
  std::from_chars(log_path.data() + slash, log_path.data() + log_path.size(), attempt);
  // While it runs there is a bundle, and no exit code.
  const PodPaths paths(data_dir, pod_uid);
  const std::string exit =
      fmt::format("{}/{}", exit_dir, container_id(pod_uid, container, attempt));
  return ::access(exit.c_str(), F_OK) == 0 ||
         ::access((paths.attempt(container, attempt) + "/bundle").c_str(), F_OK) != 0;
}

Result<bool> rotate_log(const std::string& log_path, int64_t limit_bytes, int keep) {
  struct stat status{};
  if (::stat(log_path.c_str(), &status) != 0 || status.st_size < limit_bytes) return false;
  for (int i = keep - 1; i > 0; --i) {
    const std::string from = i == 1 ? log_path : fmt::format("{}.{}", log_path, i - 1);
    const std::string to = fmt::format("{}.{}", log_path, i);
    if (::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT)
      return errno_error("cannot rotate the log", from);
  }
  return true;
}

}  // namespace berth::node
