#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "client/api_client.h"
#include "core/model/event.h"

namespace berth::bridge {

/// What can be changed while the scheduler runs.
struct SchedulerConfiguration {
  core::PolicySet policy{};
  /// Of queues that do not say it themselves.
  core::Reclaim default_reclaim = core::Reclaim::kFairShare;
  bool operator==(const SchedulerConfiguration&) const = default;
};

struct SchedulerOptions {
  client::ApiClient& client;  ///< outlives the scheduler
  const Clock& clock;         ///< outlives the scheduler
  /// Where the journal of decisions goes; empty: none is kept.
  std::filesystem::path journal_dir{};
  size_t journal_segments = 4;  ///< of 32 MiB each
  SchedulerConfiguration configuration{};
  /// Also place pods whose `schedulerName` is Kubernetes' default (on one machine, where no other
  /// scheduler is); those that name `berth` always.
  bool default_scheduler = true;
  uint64_t seed = 1;
  std::string build{};
  /// For the log; called on the scheduler's thread.
  std::function<void(bool warning, std::string_view text)> log{};
};

struct SchedulerStats {
  bool synced = false;
  uint64_t cycles = 0;
  uint64_t binds = 0;
  uint64_t evictions = 0;
  uint64_t write_failures = 0;
  double decision_seconds = 0;  ///< sum over all cycles
  size_t pending_tasks = 0;
  size_t waiting_gangs = 0;
  size_t tasks = 0;
  size_t nodes = 0;
};

/// Watches the API, decides, and writes the decisions back: control's thread. Everything runs on a
/// thread of its own between `start` and `stop`.
class Scheduler {
 public:
  /// Fails at once on a bad policy or journal folder. It begins to decide when it has seen
  /// everything there is.
  static Result<std::unique_ptr<Scheduler>> start(SchedulerOptions options);
  ~Scheduler();

  /// Why a pod waits or runs where it does. `done` is called once, on the scheduler's thread (or on
  /// the caller's when it has stopped). Any thread.
  void explain_pod(std::string ns, std::string name, std::function<void(Result<Json>)> done);
  /// Measured use, one call a window. Any thread.
  void add_usage(std::vector<core::NodeSample> samples);
  /// From the next decision on. Fails on a placement profile that there is not; then nothing
  /// changes. Any thread but the scheduler's.
  Result<> configure(SchedulerConfiguration configuration);
  SchedulerStats stats() const;
  /// Ends the thread; what was written is not waited for. Idempotent.
  void stop();

 private:
  class Body;
  explicit Scheduler(std::unique_ptr<Body> body);
  std::unique_ptr<Body> body_;
};

}  // namespace berth::bridge
