#include "app/signals.h"

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <initializer_list>

#include <pthread.h>

namespace berth::app {

Signals::Signals() {
  sigemptyset(&set_);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set_, signal);
  struct sigaction hangup{};
  sigaction(SIGHUP, nullptr, &hangup);
  ignores_hangup_ = hangup.sa_handler == SIG_IGN;
  pthread_sigmask(SIG_BLOCK, &set_, &before_);
  std::signal(SIGPIPE, SIG_IGN);
}

Signals::~Signals() {
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

int Signals::wait(std::optional<Duration> limit) const {
  if (!limit) {
    int signal = 0;
    while (sigwait(&set_, &signal) != 0) {
    }
    return signal;
  }
  const int64_t ns = std::max<int64_t>(limit->ns, 0);
  const timespec span{ns / 1'000'000'000, ns % 1'000'000'000};
  const int signal = sigtimedwait(&set_, nullptr, &span);
  return signal < 0 ? 0 : signal;
}

}  // namespace berth::app
