#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/model/event.h"
#include "simulation/cluster/cluster.h"

namespace berth::simulation {

/// What became of one job, as events and plans tell it.
struct PastWork {
  std::string name;
  std::optional<core::GangUpsert> gang;
  std::vector<core::TaskUpsert> members;  ///< the newest in each place
  Time submit;
  Time first_start;
  uint32_t starts = 0;
  std::optional<Time> since;  ///< it runs
  Time checkpoint;            ///< the last of this run
  Duration saved;             ///< by earlier runs, in checkpoints
  Duration last_run;
  Duration lost;
  std::optional<Time> end;  ///< all its tasks are gone, and none was told to stop

  size_t needed() const {
    return gang ? std::min<size_t>(gang->min, std::max<size_t>(1, members.size())) : 1;
  }

  // While it is followed:
  std::map<std::string, size_t> here;  ///< its tasks that there are, with their places in `members`
  std::set<std::string> bound;         ///< those that hold a place which they may keep
  std::set<std::string> stopping;      ///< those that were told to stop
  bool yielded = false;                ///< the last of it was told to stop; it may come back
};

/// Follows jobs through a journal. A job is a gang, or a task on its own. What was told to stop and
/// comes back (as its gang, under its name, or as the next of its owner with the same shape) goes
/// on as the same job.
class JobHistory {
 public:
  void on(const core::GangUpsert& gang, Time now);
  void on(const core::TaskUpsert& task, Time now);
  void on(const core::TaskRemove& removed, Time now);
  void on(const core::BindDone& done, Time now);
  void on(const core::Plan& plan, Time now);

  /// All of them. Of several with one name the earlier ones have a mark behind it.
  std::vector<PastWork> take();
  size_t preemptions() const { return preemptions_; }
  double lost_gpu_hours() const { return lost_gpu_hours_; }

 private:
  PastWork& job_named(const std::string& name, Time now);
  std::string name_of(const core::TaskUpsert& task) const;
  PastWork* job_of(const std::string& task);
  void bind(PastWork& job, const std::string& task, Time since);
  void stop(PastWork& job, const std::string& task, Time now);
  static void end(PastWork& job, Time now);
  void set_aside(PastWork& job, Time now);

  std::map<std::string, PastWork> jobs_;
  std::vector<std::string> order_;             ///< of `jobs_`, as they came
  std::vector<PastWork> ended_;                ///< those whose name another has now
  std::map<std::string, std::string> job_of_;  ///< by task
  size_t preemptions_ = 0;
  double lost_gpu_hours_ = 0;
};

}  // namespace berth::simulation
