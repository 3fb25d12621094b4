#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "controllers/view.h"
#include "controllers/write.h"

namespace berth::controllers {

enum class PodPhase { kPending, kRunning, kSucceeded, kFailed, kUnknown };

PodPhase phase(const Object& pod);
bool is_finished(const Object& pod);
/// Neither finished nor on its way out.
bool is_active(const Object& pod);
bool is_bound(const Object& pod);
bool is_ready(const Object& pod);
/// Ready for at least `min_ready`. Where it is ready but not for long enough, `again_at` of the
/// outcome is set to when it will be.
bool is_available(const Object& pod, Duration min_ready, Time now, Outcome& outcome);
/// Evicted by preemption, a drain or a lost node rather than by its own doing.
bool is_disrupted(const Object& pod);
/// When the last container of a finished pod ended, as far as the pod says.
Time finished_at(const Object& pod);
int64_t restarts(const Object& pod);

/// A pod made from `template` (a PodTemplateSpec) for `owner`, named by `generate_name`.
Json pod_from_template(const Json& pod_template, const Object& owner,
                       const std::string& generate_name);

/// Orders `pods` so that those whose loss costs least come first: unbound, pending, not ready, low
/// `controller.kubernetes.io/pod-deletion-cost`, ready for less time, more restarts, younger.
void rank_for_removal(std::vector<ObjectPtr>& pods);

/// Brings ownership in line with a selector: `pods` gets what `owner` controls and selects;
/// writes adopt orphans that match and release pods that no longer do.
struct Claimed {
  std::vector<ObjectPtr> objects;
  std::vector<Write> writes;
};
Claimed claim(const View& view, const Object& owner, Kind kind, const Json* selector);
/// Who of `kind` in the object's namespace would adopt it.
void find_adopters(const View& view, const Object& orphan, Kind kind, std::vector<Key>& keys);

}  // namespace berth::controllers
