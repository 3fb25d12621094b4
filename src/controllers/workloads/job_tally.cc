#include "controllers/workloads/job_tally.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <unordered_set>

#include "controllers/pods.h"

namespace berth::controllers {
namespace {

/// Bounds the status object; the rest is counted in the next round.
constexpr size_t kMaxUncounted = 500;

class Counter {
 public:
  Counter(const Object& job, const JobSpec& spec, const std::vector<ObjectPtr>& pods,
          JobTally& tally)
      : job_(job), spec_(spec), pods_(pods), tally_(tally) {
    for (const ObjectPtr& pod : pods) by_uid_[pod->uid] = pod;
    stored_indexes_ =
        parse_indexes(objects::find_string(*job.json, {"status", "completedIndexes"}));
    tally_.completed_indexes = stored_indexes_;
    tally_.failed_indexes =
        parse_indexes(objects::find_string(*job.json, {"status", "failedIndexes"}));
    tally_.counted_succeeded = objects::find_int(*job.json, {"status", "succeeded"});
    tally_.counted_failed = objects::find_int(*job.json, {"status", "failed"});
  }

  void run() {
    settle("succeeded", tally_.uncounted_succeeded, tally_.counted_succeeded);
    settle("failed", tally_.uncounted_failed, tally_.counted_failed);
    for (const ObjectPtr& pod : pods_) {
      if (is_active(*pod)) {
        tally_.active.push_back(pod);
        tally_.ready += is_ready(*pod) ? 1 : 0;
      } else if (!is_finished(*pod)) {
        ++tally_.terminating;
      }
      if (pod->has_finalizer(kJobFinalizer) && !waiting_.contains(pod->uid)) record(pod);
    }
    tally_.succeeded = spec_.indexed ? static_cast<int64_t>(tally_.completed_indexes.size())
                                     : tally_.counted_succeeded +
                                           static_cast<int64_t>(tally_.uncounted_succeeded.size());
    tally_.failed = tally_.counted_failed + static_cast<int64_t>(tally_.uncounted_failed.size());
  }

 private:
  /// What the stored status says is on its way into the counters.
  void settle(std::string_view field, std::vector<std::string>& waiting, int64_t& counted) {
    for (const Json& entry :
         objects::find_array(*job_.json, {"status", "uncountedTerminatedPods", field})) {
      if (!entry.is_string()) continue;
      const std::string uid(entry.get_string());
      const auto pod = by_uid_.find(uid);
      if (pod == by_uid_.end() || !pod->second->has_finalizer(kJobFinalizer)) {
        ++counted;
        continue;
      }
      tally_.writes.push_back(drop_finalizer(*pod->second, kJobFinalizer));
      waiting.push_back(uid);
      waiting_.insert(uid);
    }
  }

  /// A pod whose end may not be on record yet.
  void record(const ObjectPtr& pod) {
    const bool ended = is_finished(*pod) || (pod->deleting && !is_bound(*pod));
    if (!ended && !(pod->deleting && !spec_.replace_only_failed)) return;
    const int64_t index = index_of(*pod);
    const bool counts = !spec_.indexed || (index >= 0 && index < spec_.completions.value_or(0));
    if (!counts) {
      tally_.writes.push_back(drop_finalizer(*pod, kJobFinalizer));
    } else if (phase(*pod) == PodPhase::kSucceeded) {
      record_success(pod, index);
    } else {
      record_failure(pod, index);
    }
  }

  void record_success(const ObjectPtr& pod, int64_t index) {
    if (!spec_.indexed) {
      add(tally_.uncounted_succeeded, pod);
    } else if (stored_indexes_.contains(index)) {
      tally_.writes.push_back(drop_finalizer(*pod, kJobFinalizer));
    } else {
      tally_.completed_indexes.insert(index);
    }
  }

  void record_failure(const ObjectPtr& pod, int64_t index) {
    const FailureAction action = failure_action(*job_.json, *pod);
    // What was taken away for others' sake is no fault of the work.
    if (is_disrupted(*pod) && action != FailureAction::kFailJob) {
      tally_.writes.push_back(drop_finalizer(*pod, kJobFinalizer));
      return;
    }
    switch (action) {
      case FailureAction::kIgnore:
        tally_.writes.push_back(drop_finalizer(*pod, kJobFinalizer));
        return;
      case FailureAction::kFailJob:
        tally_.failing_pod = pod->key.name;
        break;
      case FailureAction::kFailIndex:
        if (index >= 0) tally_.failed_indexes.insert(index);
        break;
      case FailureAction::kCount:
        if (index >= 0 && spec_.backoff_limit_per_index &&
            index_failures(pods_, index) > *spec_.backoff_limit_per_index) {
          tally_.failed_indexes.insert(index);
        }
        break;
    }
    add(tally_.uncounted_failed, pod);
  }

  void add(std::vector<std::string>& waiting, const ObjectPtr& pod) {
    if (waiting.size() < kMaxUncounted) waiting.push_back(pod->uid);
  }

  const Object& job_;
  const JobSpec& spec_;
  const std::vector<ObjectPtr>& pods_;
  JobTally& tally_;
  std::set<int64_t> stored_indexes_;
  std::unordered_map<std::string, ObjectPtr> by_uid_;
  std::unordered_set<std::string> waiting_;
};

}  // namespace

JobTally JobTally::count(const Object& job, const JobSpec& spec,
                         const std::vector<ObjectPtr>& pods) {
  JobTally tally;
  Counter(job, spec, pods, tally).run();
  return tally;
}

int64_t index_failures(const std::vector<ObjectPtr>& pods, int64_t index) {
  int64_t failures = 0;
  for (const ObjectPtr& pod : pods) {
    if (index_of(*pod) != index || phase(*pod) != PodPhase::kFailed || is_disrupted(*pod)) continue;
    // A pod knows how often its index had failed before it; older pods may be gone.
    const std::string_view text =
        pod->annotation("batch.kubernetes.io/job-index-failure-count", "0");
    int64_t before = 0;
    std::from_chars(text.data(), text.data() + text.size(), before);
    failures = std::max(failures, before + 1);
  }
  return failures;
}

}  // namespace berth::controllers
