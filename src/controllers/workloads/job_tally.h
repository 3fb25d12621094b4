#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controllers/workloads/job_spec.h"

namespace berth::controllers {

/// What has become of a Job's pods so far, counted exactly once each.
///
/// A pod carries a finalizer until its end is on record, so that a pod deleted by anybody still
/// counts: its uid first goes to `status.uncountedTerminatedPods`, the finalizer goes once that is
/// stored, and the counter moves once the finalizer is gone. Indexes need no such care: storing an
/// index twice changes nothing.
struct JobTally {
  std::vector<ObjectPtr> active;
  int64_t ready = 0;
  int64_t terminating = 0;

  int64_t succeeded = 0;  ///< with those not yet in the counter
  int64_t failed = 0;
  std::set<int64_t> completed_indexes;
  std::set<int64_t> failed_indexes;
  /// Uids that still wait for their counter to move.
  std::vector<std::string> uncounted_succeeded;
  std::vector<std::string> uncounted_failed;
  int64_t counted_succeeded = 0;
  int64_t counted_failed = 0;

  /// The name of a pod whose failure ends the Job by `podFailurePolicy`.
  std::string failing_pod;
  std::vector<Write> writes;  ///< finalizers to take off

  static JobTally count(const Object& job, const JobSpec& spec, const std::vector<ObjectPtr>& pods);
  bool everything_counted() const {
    return uncounted_succeeded.empty() && uncounted_failed.empty();
  }
};

/// How often this index has failed so far, by the pods that are still there.
int64_t index_failures(const std::vector<ObjectPtr>& pods, int64_t index);

}  // namespace berth::controllers
