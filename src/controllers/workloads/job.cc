#include "controllers/workloads/job.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "controllers/conditions.h"
#include "controllers/pods.h"
#include "controllers/workloads/job_tally.h"

namespace berth::controllers {
namespace {

constexpr Duration kFirstBackoff = Duration::seconds(10);
/// Berth's own condition: no pod starts before the time in its message.
constexpr std::string_view kBackingOff = "berth.dev/BackingOff";
/// As of ReplicaSets: pods are missing that the API server does not let be made.
constexpr std::string_view kReplicaFailure = "ReplicaFailure";
constexpr Duration kMaxBackoff = Duration::minutes(10);
/// Bounds one round of creations; the next round follows when these were seen.
constexpr int64_t kMaxCreates = 500;

struct Verdict {
  enum class Kind { kGoesOn, kSuccess, kFailure };
  Kind kind = Kind::kGoesOn;
  std::string reason;
  std::string message;
};

struct BackOff {
  int failures;
  Time until;
};

class JobRound {
 public:
  JobRound(const View& view, const ObjectPtr& job, Time now)
      : view_(view),
        object_(job),
        job_(*job),
        now_(now),
        spec_(JobSpec::read(*job->json)),
        pods_(view.controlled(job->uid, Kind::kPod)),
        tally_(JobTally::count(*job, spec_, pods_)),
        status_(objects::find_object(*job->json, {"status"})),
        conditions_(objects::find_array(*job->json, {"status", "conditions"})) {}

  Outcome run() {
    // 1. A Job that has ended only waits for its time to live.
    if (condition_is_true(*job_.json, "Complete") || condition_is_true(*job_.json, "Failed")) {
      return after_the_end();
    }
    // 2. Whose end is on record needs its finalizer no more.
    outcome_.writes = std::move(tally_.writes);
    // 3. Has it ended?
    const Verdict verdict = judge();
    // 4. More or fewer pods.
    if (verdict.kind != Verdict::Kind::kGoesOn || spec_.suspended) {
      for (const ObjectPtr& pod : tally_.active) remove_pod(*pod);
    } else {
      adjust_pods();
    }
    // 5. Say so.
    write_status(verdict);
    return std::move(outcome_);
  }

 private:
  Outcome after_the_end() {
    for (const ObjectPtr& pod : pods_) {
      if (pod->has_finalizer(kJobFinalizer)) {
        outcome_.writes.push_back(drop_finalizer(*pod, kJobFinalizer));
      }
    }
    if (!spec_.ttl) return std::move(outcome_);
    const Json* end = find_condition(
        *job_.json, condition_is_true(*job_.json, "Complete") ? "Complete" : "Failed");
    const Time expires = transition_time(*end) + *spec_.ttl;
    if (expires <= now_) {
      outcome_.writes.push_back(remove(job_));
    } else {
      outcome_.look_again(expires);
    }
    return std::move(outcome_);
  }

  Verdict judge() {
    const auto stored = [&](std::string_view type, Verdict::Kind kind) -> std::optional<Verdict> {
      const Json* condition = find_condition(*job_.json, type);
      if (condition == nullptr || objects::find_string(*condition, {"status"}) != "True") {
        return std::nullopt;
      }
      return Verdict{kind, std::string(objects::find_string(*condition, {"reason"})),
                     std::string(objects::find_string(*condition, {"message"}))};
    };
    if (auto verdict = stored("FailureTarget", Verdict::Kind::kFailure)) return *verdict;
    if (auto verdict = stored("SuccessCriteriaMet", Verdict::Kind::kSuccess)) return *verdict;
    if (!tally_.failing_pod.empty()) {
      return failure("PodFailurePolicy",
                     "Pod " + job_.key.ns + "/" + tally_.failing_pod +
                         " failed in a way that podFailurePolicy answers with FailJob");
    }
    if (tally_.failed > spec_.backoff_limit || past_restart_limit()) {
      return failure("BackoffLimitExceeded", "Job has reached the specified backoff limit");
    }
    if (spec_.deadline && !spec_.suspended) {
      const Time ends = start_time() + *spec_.deadline;
      if (ends <= now_) {
        return failure("DeadlineExceeded", "Job was active longer than specified deadline");
      }
      outcome_.look_again(ends);
    }
    return judge_completions();
  }

  Verdict judge_completions() {
    const int64_t failed_indexes = static_cast<int64_t>(tally_.failed_indexes.size());
    if (spec_.max_failed_indexes && failed_indexes > *spec_.max_failed_indexes) {
      return failure("MaxFailedIndexesExceeded",
                     "Job has exceeded the specified maximal number of failed indexes");
    }
    Verdict success{Verdict::Kind::kSuccess, "CompletionsReached",
                    "Reached expected number of succeeded pods"};
    if (!spec_.completions) {
      return tally_.succeeded > 0 && tally_.active.empty() ? success : Verdict{};
    }
    if (tally_.succeeded >= *spec_.completions) return success;
    if (failed_indexes > 0 && tally_.active.empty() &&
        tally_.succeeded + failed_indexes >= *spec_.completions) {
      return failure("FailedIndexes", "Job has failed indexes");
    }
    return {};
  }

  static Verdict failure(std::string reason, std::string message) {
    return {Verdict::Kind::kFailure, std::move(reason), std::move(message)};
  }

  /// With `restartPolicy: OnFailure` it is restarts that count against the limit.
  bool past_restart_limit() const {
    if (!spec_.restarts_in_place) return false;
    int64_t total = 0;
    for (const ObjectPtr& pod : tally_.active) total += restarts(*pod);
    return spec_.backoff_limit == 0 ? total > 0 : total >= spec_.backoff_limit;
  }

  Time start_time() const {
    const auto stored = parse_time(objects::find_string(*job_.json, {"status", "startTime"}));
    return stored ? *stored : now_;
  }

  void remove_pod(const Object& pod) {
    // Its end is the Job's own wish, so it must not be counted as a failure.
    if (pod.has_finalizer(kJobFinalizer)) {
      outcome_.writes.push_back(drop_finalizer(pod, kJobFinalizer));
    }
    Write write = remove(pod);
    write.on_behalf_of = object_;
    outcome_.writes.push_back(std::move(write));
    ++removed_;
    removed_ready_ += is_ready(pod) ? 1 : 0;
  }

  void adjust_pods() {
    if (spec_.gang && !ensure_gang()) return;
    const int64_t active = static_cast<int64_t>(tally_.active.size());
    int64_t wanted = spec_.parallelism;
    if (spec_.completions) {
      const int64_t failed_indexes = static_cast<int64_t>(tally_.failed_indexes.size());
      wanted = std::min(wanted, *spec_.completions - tally_.succeeded - failed_indexes);
    } else if (tally_.succeeded > 0) {
      wanted = std::min(wanted, active);
    }
    wanted = std::max<int64_t>(0, wanted);
    if (active > wanted) {
      std::vector<ObjectPtr> victims = tally_.active;
      rank_for_removal(victims);
      victims.resize(static_cast<size_t>(active - wanted));
      for (const ObjectPtr& pod : victims) remove_pod(*pod);
      return;
    }
    const int64_t held = spec_.replace_only_failed ? tally_.terminating : 0;
    const int64_t missing = std::min(wanted - active - held, kMaxCreates);
    if (missing <= 0) return;
    backing_off_ = back_off();
    creating_ = !backing_off_;
    if (creating_) return create_pods(missing);
    outcome_.look_again(backing_off_->until);
  }

  /// Pods come only once their group is there: a member seen without its group could start alone.
  bool ensure_gang() {
    const ObjectPtr group = view_.find({Kind::kPodGroup, job_.key.ns, job_.key.name});
    if (group == nullptr) {
      Write write = create(Kind::kPodGroup, job_.key.ns, job_pod_group(job_, spec_));
      write.on_behalf_of = object_;
      outcome_.writes.push_back(std::move(write));
      return false;
    }
    const OwnerRef* owner = group->controller();
    if (owner == nullptr || owner->uid != job_.uid) {
      outcome_.notes.push_back({object_, true, "PodGroupTaken",
                                "PodGroup " + group->key.name +
                                    " belongs to somebody else; delete it or rename this Job"});
      return false;
    }
    if (objects::find_int(*group->json, {"spec", "minMember"}) != spec_.gang_min) {
      outcome_.writes.push_back(
          patch(*group, JsonObject{{"spec", JsonObject{{"minMember", spec_.gang_min}}}}));
    }
    return !group->deleting;
  }

  /// Ten seconds after a failure, twice as long after each further one, until one succeeds.
  std::optional<BackOff> back_off() const {
    Time last_success{};
    Time last_failure{};
    int failures = 0;
    for (const ObjectPtr& pod : pods_) {
      if (phase(*pod) == PodPhase::kSucceeded) {
        last_success = std::max(last_success, finished_at(*pod));
      }
    }
    for (const ObjectPtr& pod : pods_) {
      if (phase(*pod) != PodPhase::kFailed || is_disrupted(*pod)) continue;
      const Time at = finished_at(*pod);
      if (at < last_success) continue;
      last_failure = std::max(last_failure, at);
      ++failures;
    }
    if (failures == 0) return std::nullopt;
    const Duration delay =
        std::min(kMaxBackoff, kFirstBackoff * (int64_t{1} << std::min(failures - 1, 10)));
    const Time next = last_failure + delay;
    if (next <= now_) return std::nullopt;
    return BackOff{failures, next};
  }

  void create_pods(int64_t count) {
    if (!spec_.indexed) {
      for (int64_t i = 0; i < count; ++i) create_pod(-1);
      return;
    }
    std::set<int64_t> taken = tally_.completed_indexes;
    taken.insert(tally_.failed_indexes.begin(), tally_.failed_indexes.end());
    for (const ObjectPtr& pod : pods_) {
      const bool holds = is_active(*pod) || (spec_.replace_only_failed && !is_finished(*pod));
      if (holds) taken.insert(index_of(*pod));
    }
    for (int64_t index = 0; index < spec_.completions.value_or(0) && count > 0; ++index) {
      if (taken.contains(index)) continue;
      create_pod(index);
      --count;
    }
  }

  void create_pod(int64_t index) {
    const int64_t failures =
        spec_.backoff_limit_per_index ? index_failures(pods_, index) : int64_t{0};
    Write write = create(Kind::kPod, job_.key.ns, job_pod(job_, spec_, index, failures));
    write.on_behalf_of = object_;
    outcome_.writes.push_back(std::move(write));
  }

  void write_status(const Verdict& verdict) {
    set_suspension();
    set_back_off();
    set_create_failure();
    const int64_t active = static_cast<int64_t>(tally_.active.size()) - removed_;
    const int64_t terminating = tally_.terminating + removed_;
    set_count("active", active);
    status_["ready"] = tally_.ready - removed_ready_;
    status_["terminating"] = terminating;
    set_count("succeeded", spec_.indexed ? tally_.succeeded : tally_.counted_succeeded);
    set_count("failed", tally_.counted_failed);
    set_text("completedIndexes", format_indexes(tally_.completed_indexes));
    set_text("failedIndexes", format_indexes(tally_.failed_indexes));
    JsonObject uncounted;
    set_uids(uncounted, "succeeded", tally_.uncounted_succeeded);
    set_uids(uncounted, "failed", tally_.uncounted_failed);
    status_["uncountedTerminatedPods"] = std::move(uncounted);

    if (verdict.kind != Verdict::Kind::kGoesOn) {
      const bool success = verdict.kind == Verdict::Kind::kSuccess;
      set_condition(conditions_,
                    {success ? "SuccessCriteriaMet" : "FailureTarget", "True", verdict.reason,
                     verdict.message},
                    now_);
      if (active == 0 && terminating == 0 && tally_.everything_counted()) end(verdict, success);
    }
    status_.erase("conditions");
    if (!conditions_.empty()) status_["conditions"] = conditions_;
    if (auto write = patch_status_to(job_, status_)) outcome_.writes.push_back(std::move(*write));
  }

  void end(const Verdict& verdict, bool success) {
    set_condition(conditions_,
                  {success ? "Complete" : "Failed", "True", verdict.reason, verdict.message}, now_);
    if (success) status_["completionTime"] = format_time(now_);
    if (spec_.ttl) outcome_.look_again(now_ + *spec_.ttl);
    outcome_.notes.push_back({object_, !success, success ? "Completed" : verdict.reason,
                              success ? "Job completed" : verdict.message});
  }

  void set_suspension() {
    const bool was = condition_is_true(*job_.json, "Suspended");
    if (spec_.suspended) {
      set_condition(conditions_, {"Suspended", "True", "JobSuspended", "Job suspended"}, now_);
      status_.erase("startTime");
      if (!was) outcome_.notes.push_back({object_, false, "Suspended", "Job suspended"});
      return;
    }
    if (was) {
      set_condition(conditions_, {"Suspended", "False", "JobResumed", "Job resumed"}, now_);
      outcome_.notes.push_back({object_, false, "Resumed", "Job resumed"});
    }
    if (!status_.contains("startTime")) status_["startTime"] = format_time(now_);
  }

  void set_back_off() {
    if (!backing_off_) return drop_condition(conditions_, kBackingOff);
    set_condition(
        conditions_,
        {std::string(kBackingOff), "True", "PodFailed",
         fmt::format("{} pod{} failed; the next one starts at {}", backing_off_->failures,
                     backing_off_->failures == 1 ? "" : "s", format_time(backing_off_->until))},
        now_);
  }

  void set_create_failure() {
    const std::string_view failure = view_.failure(job_.key);
    if (!creating_) return drop_condition(conditions_, kReplicaFailure);
    if (!failure.empty())
      set_condition(conditions_,
                    {std::string(kReplicaFailure), "True", "FailedCreate", std::string(failure)},
                    now_);
  }

  void set_count(std::string_view field, int64_t count) {
    if (count > 0) {
      status_[field] = count;
    } else {
      status_.erase(field);
    }
  }

  void set_text(std::string_view field, const std::string& text) {
    if (text.empty()) {
      status_.erase(field);
    } else {
      status_[field] = text;
    }
  }

  static void set_uids(JsonObject& object, std::string_view field,
                       const std::vector<std::string>& uids) {
    if (!uids.empty()) object[field] = JsonArray(uids.begin(), uids.end());
  }

  const View& view_;
  const ObjectPtr object_;
  const Object& job_;
  const Time now_;
  const JobSpec spec_;
  const std::vector<ObjectPtr> pods_;
  JobTally tally_;
  JsonObject status_;
  JsonArray conditions_;
  std::optional<BackOff> backing_off_;
  bool creating_ = false;  ///< pods are missing and may be made
  int64_t removed_ = 0;
  int64_t removed_ready_ = 0;
  Outcome outcome_;
};

/// A Job that is gone or going holds none of its pods back.
Outcome let_go(const View& view, const Key& key, const ObjectPtr& job) {
  Outcome outcome;
  for (const ObjectPtr& pod : view.list(Kind::kPod, key.ns)) {
    const OwnerRef* owner = pod->controller();
    if (owner == nullptr || owner->kind != "Job" || owner->name != key.name) continue;
    if (job != nullptr && owner->uid != job->uid) continue;
    if (pod->has_finalizer(kJobFinalizer)) {
      outcome.writes.push_back(drop_finalizer(*pod, kJobFinalizer));
    }
  }
  return outcome;
}

Outcome reconcile(const View& view, const Key& key, Time now) {
  const ObjectPtr job = view.find(key);
  if (job == nullptr || job->deleting) return let_go(view, key, job);
  return JobRound(view, job, now).run();
}

void affected(const View& view, const Object& object, std::vector<Key>& keys) {
  if (object.key.kind == Kind::kJob) keys.push_back(object.key);
  // More quota may let through what was refused.
  if (object.key.kind == Kind::kResourceQuota) {
    for (Key& key : view.failing(Kind::kJob, object.key.ns)) keys.push_back(std::move(key));
  }
  if (object.key.kind != Kind::kPod && object.key.kind != Kind::kPodGroup) return;
  const OwnerRef* owner = object.controller();
  if (owner != nullptr && owner->kind == "Job") {
    keys.push_back({Kind::kJob, object.key.ns, owner->name});
  }
}

}  // namespace

const Controller kJob = {"job", &affected, &reconcile};

}  // namespace berth::controllers
