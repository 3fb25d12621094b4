#include "node/runtime/directory_watcher.h"

#include <array>
#include <cstring>
#include <thread>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "node/files.h"
#include "platform/process.h"

namespace berth::node {

struct DirectoryWatcher::State {
  platform::Fd inotify;
  platform::Fd stop;
  OnFile on_file;
  std::thread thread;

  void run() {
    alignas(inotify_event) std::array<char, 16384> buffer;
    for (;;) {
      std::array<pollfd, 2> wait = {pollfd{inotify.get(), POLLIN, 0},
                                    pollfd{stop.get(), POLLIN, 0}};
      if (::poll(wait.data(), wait.size(), -1) < 0) continue;
      if (wait[1].revents != 0) return;
      const ssize_t n = ::read(inotify.get(), buffer.data(), buffer.size());
      for (ssize_t at = 0; at < n;) {
        inotify_event event;
        std::memcpy(&event, buffer.data() + at, sizeof event);
        if ((event.mask & IN_Q_OVERFLOW) != 0)
          on_file({});
        else if (event.len > 0)
          on_file(buffer.data() + at + sizeof event);
        at += static_cast<ssize_t>(sizeof event + event.len);
      }
    }
  }
};

Result<std::unique_ptr<DirectoryWatcher>> DirectoryWatcher::start(const std::string& folder,
                                                                  OnFile on_file) {
  auto state = std::make_unique<State>();
  state->inotify = platform::Fd(::inotify_init1(IN_CLOEXEC));
  if (!state->inotify.valid()) return errno_error("cannot watch", folder);
  if (::inotify_add_watch(state->inotify.get(), folder.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO) < 0)
    return errno_error("cannot watch", folder);
  state->stop = platform::Fd(::eventfd(0, EFD_CLOEXEC));
  if (!state->stop.valid()) return errno_error("cannot watch", folder);
  state->on_file = std::move(on_file);
  state->thread = std::thread([s = state.get()] { s->run(); });
  return std::unique_ptr<DirectoryWatcher>(new DirectoryWatcher(std::move(state)));
}

DirectoryWatcher::DirectoryWatcher(std::unique_ptr<State> state) : state_(std::move(state)) {}

DirectoryWatcher::~DirectoryWatcher() {
  const uint64_t one = 1;
  (void)!::write(state_->stop.get(), &one, sizeof one);
  state_->thread.join();
}

}  // namespace berth::node
