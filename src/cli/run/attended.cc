#include "cli/run/attended.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <pthread.h>

#include "cli/output/explanation.h"
#include "cli/output/print.h"

namespace berth::cli {
namespace {

constexpr std::chrono::milliseconds kFirstLook{400};
constexpr std::chrono::seconds kLookAgain{3};
constexpr timespec kSignalPoll{0, 100'000'000};
constexpr int kLogAttempts = 20;
/// Somebody waits at the keyboard. The first process of a container that does not handle SIGTERM
/// ignores it: the kernel has no default for it there.
constexpr int kInterruptGraceSeconds = 10;

/// What a container waits for that waiting does not bring.
constexpr std::array<std::string_view, 5> kHopeless = {"VolumeForbidden", "InvalidImageName",
                                                       "ErrImageNeverPull", "ImagePullBackOff",
                                                       "CreateContainerConfigError"};
/// The same of the scheduler's reasons.
constexpr std::array<std::string_view, 3> kNeverScheduled = {"Never", "QueueMissing", "Refused"};
/// As a shell has them.
constexpr int kCannotExecute = 126;
constexpr int kCommandNotFound = 127;

const Json* container_state(const Json& pod, std::string_view state) {
  const JsonArray& statuses = objects::find_array(pod, {"status", "containerStatuses"});
  return statuses.empty() ? nullptr : objects::find(statuses[0], {"state", state});
}

sigset_t interrupts() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

bool has_ended(const Json& pod) {
  const std::string_view phase = objects::find_string(pod, {"status", "phase"});
  return phase == "Succeeded" || phase == "Failed";
}

bool is_one_of(std::span<const std::string_view> words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

/// Why the node will not start it however long one waits; empty when it may.
std::string why_hopeless(const Json& pod) {
  const Json* waiting = container_state(pod, "waiting");
  if (waiting == nullptr || !is_one_of(kHopeless, objects::find_string(*waiting, {"reason"})))
    return {};
  return std::string(objects::find_string(*waiting, {"message"}));
}

/// Of a command that was never executed: what a shell would exit with.
int start_error_code(std::string_view message) {
  const auto says = [&](std::string_view text) { return message.find(text) != message.npos; };
  if (says("file not found") || says("no such file")) return kCommandNotFound;
  if (says("permission denied") || says("format error") || says("is a directory"))
    return kCannotExecute;
  return 1;
}

bool has_output(const Json& pod) {
  return container_state(pod, "running") != nullptr ||
         container_state(pod, "terminated") != nullptr;
}

class Attendance {
 public:
  Attendance(const Api& api, const Json& pod)
      : api_(api),
        kind_(api.kind("", "pods")),
        ns_(objects::namespace_of(pod)),
        name_(objects::name_of(pod)),
        uid_(objects::uid_of(pod)),
        version_(objects::resource_version_of(pod)),
        pod_(pod),
        watch_round_(api.endpoint()),
        log_round_(api.endpoint()) {}

  int run() {
    std::thread listener([&] { listen(); });
    std::thread watcher([&] { watch(); });

    const std::string hopeless = wait_for_output();
    if (!hopeless.empty()) give_up(hopeless);
    std::thread printer;
    {
      const std::lock_guard lock(mutex_);
      if (!given_up_ && has_output(pod_)) printer = std::thread([&] { print_output(); });
    }
    wait_for_end();

    finished_ = true;
    if (killed_) log_round_.interrupt();
    if (printer.joinable()) printer.join();
    watch_round_.interrupt();
    watcher.join();
    listener.join();
    return verdict();
  }

 private:
  std::string target() const { return Api::path(kind_, ns_, name_); }

  void listen() {
    const sigset_t signals = interrupts();
    int heard = 0;
    while (!finished_) {
      if (sigtimedwait(&signals, nullptr, &kSignalPoll) < 0) continue;
      ++heard;
      stop(heard == 1);
      if (heard > 1) {
        killed_ = true;
        changed_.notify_all();
        return;
      }
    }
  }

  void stop(bool gently) {
    interrupted_ = true;
    fmt::print(stderr, "\n{} {}{}\n", gently ? "stopping" : "killing", name_,
               gently ? " (Ctrl-C again kills it)" : "");
    remove(gently ? kInterruptGraceSeconds : 0);
  }

  void remove(int grace_seconds) const {
    const JsonObject options{{"apiVersion", "v1"},
                             {"kind", "DeleteOptions"},
                             {"preconditions", JsonObject{{"uid", uid_}}},
                             {"gracePeriodSeconds", grace_seconds}};
    const Result<Json> removed = api_.remove(target(), options);
    if (!removed && removed.error().code != ErrorCode::kNotFound) print_error(removed.error());
  }

  void give_up(const std::string& why) {
    given_up_ = true;
    fmt::print(stderr, "error: {} cannot start: {}\n", name_, why);
    remove(0);
  }

  void watch() {
    while (!finished_) {
      const std::string events = Api::path(kind_, ns_) + "?" +
                                 query({{"watch", "1"},
                                        {"fieldSelector", "metadata.name=" + name_},
                                        {"resourceVersion", version_}});
      const Result<> watched = api_.watch(watch_round_, events, "application/json",
                                          [&](std::string_view type, const Json& seen) {
                                            version_ = objects::resource_version_of(seen);
                                            return note(type == "DELETED", seen);
                                          });
      if (finished_ || is_over()) return;
      if (watched) continue;
      // The server restarts, or history is gone: begin again from what is there.
      const Result<std::optional<Json>> now = api_.find(target());
      if (!now) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, kLookAgain, [&] { return finished_.load(); });
        continue;
      }
      if (!*now || objects::uid_of(**now) != uid_) {
        note(true, pod_);
        return;
      }
      version_ = objects::resource_version_of(**now);
      note(false, **now);
    }
  }

  /// False when there is nothing more to see.
  bool note(bool gone, const Json& seen) {
    const std::lock_guard lock(mutex_);
    pod_ = seen;
    gone_ = gone;
    changed_.notify_all();
    return !gone && !has_ended(seen);
  }

  bool is_over() {
    const std::lock_guard lock(mutex_);
    return gone_ || killed_ || given_up_ || has_ended(pod_);
  }

  /// Until there is some, or none will come; then why it cannot start, where that is so.
  std::string wait_for_output() {
    std::unique_lock lock(mutex_);
    const auto settled = [&] {
      return gone_ || killed_ || has_ended(pod_) || has_output(pod_) || !why_hopeless(pod_).empty();
    };
    std::string said;
    std::chrono::milliseconds patience = kFirstLook;
    while (!changed_.wait_for(lock, patience, settled)) {
      patience = kLookAgain;
      const Json pod = pod_;
      lock.unlock();
      const auto [why, hopeless] = why_waiting(pod);
      if (hopeless) return why;
      if (!why.empty() && why != said) fmt::print(stderr, "{}: {}\n", name_, why);
      said = why;
      lock.lock();
    }
    return gone_ || killed_ || interrupted_ ? std::string() : why_hopeless(pod_);
  }

  struct Wait {
    std::string why;
    bool hopeless = false;
  };

  Wait why_waiting(const Json& pod) const {
    if (objects::find_string(pod, {"spec", "nodeName"}).empty()) {
      const Result<Json> answer = api_.get(
          fmt::format("/berth/v1/explain/namespaces/{}/pods/{}", escape(ns_), escape(name_)));
      if (!answer) return {"waiting for its turn"};
      const std::string why = explain_line(*answer);
      for (const Json& reason : objects::find_array(*answer, {"reasons"}))
        if (is_one_of(kNeverScheduled, objects::find_string(reason, {"code"}))) return {why, true};
      return {why.empty() ? "waiting for its turn" : "waits: " + why};
    }
    const Json* waiting = container_state(pod, "waiting");
    if (waiting == nullptr) return {"starting"};
    const std::string_view message = objects::find_string(*waiting, {"message"});
    return {fmt::format("starting{}{}", message.empty() ? "" : ": ", message)};
  }

  void print_output() {
    HttpCall call;
    call.accept = "*/*";
    call.target = target() + "/log?follow=true&container=main";
    for (int attempt = 0; attempt < kLogAttempts; ++attempt) {
      const Result<HttpAnswer> answer = log_round_.stream(call, [](std::string_view bytes) {
        std::fwrite(bytes.data(), 1, bytes.size(), stdout);
        return std::fflush(stdout) == 0;
      });
      if (answer && answer->status / 100 == 2) return;
      if (killed_ || (finished_ && attempt > 0)) return;
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kFirstLook, [&] { return killed_.load(); });
    }
    fmt::print(stderr, "the output of {} cannot be read; `berth logs {}` may\n", name_, name_);
  }

  void wait_for_end() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return gone_ || killed_ || given_up_ || has_ended(pod_); });
  }

  int verdict() {
    if (interrupted_) return 130;
    if (given_up_) return 1;
    const Json* terminated = container_state(pod_, "terminated");
    const std::string_view reason = objects::find_string(pod_, {"status", "reason"});
    const std::string_view message = objects::find_string(pod_, {"status", "message"});
    if (!reason.empty()) {
      fmt::print(stderr, "{}: {}{}{}\n", name_, reason, message.empty() ? "" : ": ", message);
    }
    if (terminated == nullptr) {
      if (reason.empty()) fmt::print(stderr, "{} was deleted\n", name_);
      return 1;
    }
    if (objects::find_string(*terminated, {"reason"}) == "OOMKilled") {
      fmt::print(stderr, "{}: used more memory than it asked for; give it more with --mem\n",
                 name_);
    }
    if (objects::find_string(*terminated, {"reason"}) == "StartError") {
      const std::string_view why = objects::find_string(*terminated, {"message"});
      fmt::print(stderr, "error: {} could not be started: {}\n", name_, why);
      return start_error_code(why);
    }
    const int64_t code = objects::find_int(*terminated, {"exitCode"}, 1);
    // What was stopped from outside did not succeed, whatever it exited with.
    return code == 0 && objects::find_string(pod_, {"status", "phase"}) == "Failed"
               ? 1
               : static_cast<int>(code);
  }

  const Api& api_;
  const objects::Kind& kind_;
  const std::string ns_;
  const std::string name_;
  const std::string uid_;
  std::string version_;  ///< of the watcher alone
  std::mutex mutex_;
  std::condition_variable changed_;
  Json pod_;
  bool gone_ = false;
  std::atomic<bool> interrupted_ = false;
  std::atomic<bool> killed_ = false;
  std::atomic<bool> given_up_ = false;
  std::atomic<bool> finished_ = false;
  HttpRound watch_round_;
  HttpRound log_round_;
};

}  // namespace

void hold_interrupts() {
  const sigset_t signals = interrupts();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

int attend(const Api& api, const Json& pod) {
  return Attendance(api, pod).run();
}

}  // namespace berth::cli
