#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "controllers/view.h"
#include "controllers/write.h"

namespace berth::controllers {

inline constexpr std::string_view kJobFinalizer = "batch.kubernetes.io/job-tracking";
inline constexpr std::string_view kJobIndex = "batch.kubernetes.io/job-completion-index";
inline constexpr std::string_view kPodGroupLabel = "scheduling.x-k8s.io/pod-group";

/// What a Job asks for, with the server's defaults where a field is missing.
struct JobSpec {
  std::optional<int64_t> completions;
  int64_t parallelism = 1;
  bool indexed = false;
  int64_t backoff_limit = 6;
  std::optional<int64_t> backoff_limit_per_index;
  std::optional<int64_t> max_failed_indexes;
  std::optional<Duration> deadline;
  std::optional<Duration> ttl;
  bool suspended = false;
  /// Terminating pods are replaced only once they have failed (`podReplacementPolicy: Failed`).
  bool replace_only_failed = false;
  bool restarts_in_place = false;  ///< the template says `restartPolicy: OnFailure`
  bool gang = false;
  int64_t gang_min = 1;

  static JobSpec read(const Json& job);
};

/// Completion indexes as a Job's status writes them: `0,2-5,7`.
std::set<int64_t> parse_indexes(std::string_view text);
std::string format_indexes(const std::set<int64_t>& indexes);

/// The completion index of a pod, or -1.
int64_t index_of(const Object& pod);

/// A pod of `job`; `index` is -1 for a Job that is not indexed.
Json job_pod(const Object& job, const JobSpec& spec, int64_t index, int64_t index_failures);
/// The PodGroup that makes the Job's pods one gang.
Json job_pod_group(const Object& job, const JobSpec& spec);

/// What `podFailurePolicy` says about a failed pod.
enum class FailureAction { kCount, kIgnore, kFailJob, kFailIndex };
FailureAction failure_action(const Json& job, const Object& pod);

}  // namespace berth::controllers
