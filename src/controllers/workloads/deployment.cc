#include "controllers/workloads/deployment.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <utility>

#include "controllers/conditions.h"
#include "controllers/pods.h"
#include "controllers/workloads/rollout.h"

namespace berth::controllers {
namespace {

constexpr std::string_view kRevision = "deployment.kubernetes.io/revision";
constexpr std::string_view kHistory = "deployment.kubernetes.io/revision-history";
constexpr std::string_view kDesired = "deployment.kubernetes.io/desired-replicas";
constexpr std::string_view kMax = "deployment.kubernetes.io/max-replicas";
constexpr std::string_view kHashLabel = "pod-template-hash";

int64_t to_int(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool is_copied(std::string_view annotation) {
  return annotation != "kubectl.kubernetes.io/last-applied-configuration" &&
         !annotation.starts_with("deployment.kubernetes.io/") &&
         annotation != "deprecated.deployment.rollback.to";
}

class DeploymentRound {
 public:
  DeploymentRound(const View& view, const ObjectPtr& deployment, Time now)
      : view_(view),
        object_(deployment),
        deployment_(*deployment),
        now_(now),
        spec_(DeploymentSpec::read(*deployment->json)),
        template_(objects::find_object(*deployment->json, {"spec", "template"})),
        conditions_(objects::find_array(*deployment->json, {"status", "conditions"})),
        collisions_(objects::find_int(*deployment->json, {"status", "collisionCount"})) {}

  Outcome run() {
    // 1. Whose ReplicaSets are they, and which one is of today's template?
    find_sets();
    // 2. Its revision, and the replicas of each.
    if (!deployment_.deleting) {
      if (spec_.paused) {
        if (newest_) write_set(*newest_, newest_->wanted);
        scale_all();
      } else if (!newest_) {
        if (!spec_.recreate || old_pods_are_gone()) create_newest();
        if (spec_.recreate) scale_older_to_zero();
      } else {
        roll_on();
      }
      clean_history();
    }
    // 3. Say so.
    write_status();
    return std::move(outcome_);
  }

 private:
  void find_sets() {
    Claimed claimed = claim(view_, deployment_, Kind::kReplicaSet,
                            objects::find(*deployment_.json, {"spec", "selector"}));
    outcome_.writes = std::move(claimed.writes);
    std::stable_sort(
        claimed.objects.begin(), claimed.objects.end(),
        [](const ObjectPtr& a, const ObjectPtr& b) { return a->created < b->created; });
    for (ObjectPtr& set : claimed.objects) {
      if (set->deleting) continue;
      const Json set_template = objects::find_object(*set->json, {"spec", "template"});
      const bool same = same_template(set_template, template_);
      if (same && !newest_) {
        newest_ = Replicas::read(std::move(set));
      } else {
        older_.push_back(Replicas::read(std::move(set)));
      }
    }
    for (const Replicas& old : older_) {
      last_old_revision_ = std::max(last_old_revision_, to_int(old.set->annotation(kRevision)));
    }
    revision_ = newest_ ? std::max(to_int(newest_->set->annotation(kRevision)),
                                   last_old_revision_ + (is_current(*newest_) ? 0 : 1))
                        : last_old_revision_ + 1;
  }

  bool is_current(const Replicas& set) const {
    return to_int(set.set->annotation(kRevision)) > last_old_revision_;
  }

  std::vector<Replicas> all_sets() const {
    std::vector<Replicas> all = older_;
    if (newest_) all.push_back(*newest_);
    return all;
  }

  void create_newest() {
    const std::string hash = template_hash(template_, collisions_);
    const std::string name = deployment_.key.name + "-" + hash;
    if (view_.find({Kind::kReplicaSet, deployment_.key.ns, name}) != nullptr) {
      ++collisions_;  // another template has this name: the status keeps the count
      return;
    }
    int64_t total = 0;
    for (const Replicas& old : older_) total += old.wanted;
    const int64_t room = std::max<int64_t>(0, spec_.replicas + spec_.max_surge - total);
    const int64_t replicas = spec_.recreate ? spec_.replicas : std::min(spec_.replicas, room);

    Json pod_template = template_;
    objects::ensure_object(pod_template, {"metadata", "labels"})[kHashLabel] = hash;
    Json selector = objects::find_object(*deployment_.json, {"spec", "selector"});
    objects::ensure_object(selector, {"matchLabels"})[kHashLabel] = hash;
    JsonObject annotations = own_annotations();
    annotations[kRevision] = std::to_string(revision_);
    Json labels = objects::find_object(pod_template, {"metadata", "labels"});
    JsonObject spec{{"replicas", replicas}, {"selector", selector}, {"template", pod_template}};
    if (spec_.min_ready.ns > 0) spec["minReadySeconds"] = spec_.min_ready.ns / 1'000'000'000;
    Write write = create(
        Kind::kReplicaSet, deployment_.key.ns,
        JsonObject{
            {"metadata", JsonObject{{"name", name},
                                    {"labels", labels},
                                    {"annotations", annotations},
                                    {"ownerReferences", JsonArray{owner_reference(deployment_)}}}},
            {"spec", std::move(spec)}});
    outcome_.writes.push_back(std::move(write));
    progress_ = {"Progressing", "True", "NewReplicaSetCreated",
                 "Created new replica set \"" + name + "\""};
    note_scale(name, 0, replicas);
  }

  JsonObject own_annotations() const {
    JsonObject annotations;
    for (const auto& [key, value] :
         objects::find_object(*deployment_.json, {"metadata", "annotations"})) {
      if (is_copied(key)) annotations[key] = value;
    }
    annotations[kDesired] = std::to_string(spec_.replicas);
    annotations[kMax] = std::to_string(spec_.replicas + spec_.max_surge);
    return annotations;
  }

  /// One patch that brings replicas and annotations of a set up to date, if they are not.
  void write_set(const Replicas& set, int64_t replicas) {
    const bool is_newest = newest_ && set.set == newest_->set;
    JsonObject annotations;
    if (is_newest) {
      annotations = own_annotations();
      const std::string before(set.set->annotation(kRevision));
      const std::string revision = std::to_string(revision_);
      annotations[kRevision] = revision;
      if (!before.empty() && before != revision) {
        const std::string history(set.set->annotation(kHistory));
        annotations[kHistory] = history.empty() ? before : history + "," + before;
      }
    } else if (replicas != set.wanted || replicas > 0) {
      annotations[kDesired] = std::to_string(spec_.replicas);
      annotations[kMax] = std::to_string(spec_.replicas + spec_.max_surge);
    }
    JsonObject changed;
    for (const auto& [key, value] : annotations) {
      const Json* now = objects::find(*set.set->json, {"metadata", "annotations", key});
      if (now == nullptr || *now != value) changed[key] = value;
    }
    Json change = JsonObject{};
    if (!changed.empty()) {
      objects::ensure_object(change, {"metadata"})["annotations"] = std::move(changed);
    }
    if (replicas != set.wanted) objects::ensure_object(change, {"spec"})["replicas"] = replicas;
    if (is_newest && objects::find_int(*set.set->json, {"spec", "minReadySeconds"}) !=
                         spec_.min_ready.ns / 1'000'000'000) {
      objects::ensure_object(change, {"spec"})["minReadySeconds"] =
          spec_.min_ready.ns / 1'000'000'000;
    }
    if (change.get_object().empty()) return;
    outcome_.writes.push_back(patch(*set.set, std::move(change)));
    if (replicas != set.wanted) {
      scaled_ = true;
      note_scale(set.set->key.name, set.wanted, replicas);
    }
  }

  void note_scale(const std::string& name, int64_t from, int64_t to) {
    if (from == to) return;
    outcome_.notes.push_back({object_, false, "ScalingReplicaSet",
                              std::string("Scaled ") + (to > from ? "up" : "down") +
                                  " replica set " + name + " from " + std::to_string(from) +
                                  " to " + std::to_string(to)});
  }

  /// `spec.replicas` changed since the sets were last sized.
  bool was_rescaled() const {
    for (const Replicas& set : all_sets()) {
      const std::string_view desired = set.set->annotation(kDesired);
      if (set.wanted > 0 && !desired.empty() && to_int(desired) != spec_.replicas) return true;
    }
    return false;
  }

  void scale_all() {
    std::vector<Replicas> active;
    for (const Replicas& set : all_sets()) {
      if (set.wanted > 0) active.push_back(set);
    }
    if (active.empty() && newest_) active.push_back(*newest_);
    if (active.size() == 1) {
      write_set(active.front(), spec_.replicas);
    } else if (was_rescaled()) {
      scale(active, spread(spec_, active));
    }
  }

  void scale(const std::vector<Replicas>& sets, const std::vector<Scale>& steps) {
    std::map<ObjectPtr, int64_t> replicas;
    for (const Scale& step : steps) replicas[step.set] = step.replicas;
    for (const Replicas& set : sets) {
      const auto at = replicas.find(set.set);
      write_set(set, at == replicas.end() ? set.wanted : at->second);
    }
  }

  void roll_on() {
    if (!spec_.recreate && was_rescaled() && !older_active().empty()) {
      std::vector<Replicas> sets = older_active();
      sets.push_back(*newest_);
      scale(sets, spread(spec_, sets));
      return;
    }
    if (spec_.recreate) {
      scale_older_to_zero();
      write_set(*newest_, old_pods_are_gone() ? spec_.replicas : newest_->wanted);
      return;
    }
    scale(all_sets(), roll(spec_, *newest_, older_));
  }

  std::vector<Replicas> older_active() const {
    std::vector<Replicas> active;
    std::copy_if(older_.begin(), older_.end(), std::back_inserter(active),
                 [](const Replicas& set) { return set.wanted > 0; });
    return active;
  }

  void scale_older_to_zero() {
    for (const Replicas& old : older_) {
      if (old.wanted > 0) write_set(old, 0);
    }
  }

  /// Recreate waits for the processes themselves, not only for the pods to be marked.
  bool old_pods_are_gone() const {
    for (const Replicas& old : older_) {
      if (old.wanted > 0 || old.actual > 0) return false;
      for (const ObjectPtr& pod : view_.controlled(old.set->uid, Kind::kPod)) {
        if (!is_finished(*pod)) return false;
      }
    }
    return true;
  }

  void clean_history() {
    if (!newest_ || !is_complete()) return;
    std::vector<Replicas> idle;
    for (const Replicas& old : older_) {
      const bool seen = objects::find_int(*old.set->json, {"status", "observedGeneration"}) >=
                        objects::find_int(*old.set->json, {"metadata", "generation"});
      if (old.wanted == 0 && old.actual == 0 && seen) idle.push_back(old);
    }
    std::stable_sort(idle.begin(), idle.end(), [](const Replicas& a, const Replicas& b) {
      return to_int(a.set->annotation(kRevision)) < to_int(b.set->annotation(kRevision));
    });
    const int64_t surplus = static_cast<int64_t>(idle.size()) - spec_.history_limit;
    for (int64_t i = 0; i < surplus; ++i) {
      outcome_.writes.push_back(remove(*idle[static_cast<size_t>(i)].set));
    }
  }

  struct Totals {
    int64_t wanted = 0;
    int64_t actual = 0;
    int64_t updated = 0;
    int64_t ready = 0;
    int64_t available = 0;
  };

  Totals totals() const {
    Totals sum;
    for (const Replicas& set : all_sets()) {
      sum.wanted += set.wanted;
      sum.actual += set.actual;
      sum.ready += set.ready;
      sum.available += set.available;
    }
    if (newest_) sum.updated = newest_->actual;
    return sum;
  }

  bool is_complete() const {
    const Totals sum = totals();
    return !scaled_ && newest_ && sum.updated == spec_.replicas && sum.actual == spec_.replicas &&
           sum.available == spec_.replicas;
  }

  void write_status() {
    const Totals sum = totals();
    const JsonObject& before = objects::find_object(*deployment_.json, {"status"});
    JsonObject status{
        {"observedGeneration", objects::find_int(*deployment_.json, {"metadata", "generation"})}};
    const auto put = [&](std::string_view field, int64_t count) {
      if (count > 0) status[field] = count;
    };
    put("replicas", sum.actual);
    put("updatedReplicas", sum.updated);
    put("readyReplicas", sum.ready);
    put("availableReplicas", sum.available);
    put("unavailableReplicas", std::max<int64_t>(0, sum.wanted - sum.available));
    put("collisionCount", collisions_);
    int64_t terminating = 0;
    for (const Replicas& set : all_sets()) {
      terminating += objects::find_int(*set.set->json, {"status", "terminatingReplicas"});
    }
    put("terminatingReplicas", terminating);

    const bool available = sum.available >= spec_.replicas - spec_.max_unavailable;
    set_condition(conditions_,
                  {"Available", available ? "True" : "False",
                   available ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable",
                   available ? "Deployment has minimum availability."
                             : "Deployment does not have minimum availability."},
                  now_, true);
    write_progress(sum, before);
    copy_replica_failure();
    status["conditions"] = conditions_;
    if (auto write = patch_status_to(deployment_, status)) {
      outcome_.writes.push_back(std::move(*write));
    }
    write_revision();
  }

  void write_progress(const Totals& sum, const JsonObject& before) {
    const Json* current = find_condition(*deployment_.json, "Progressing");
    const std::string_view reason =
        current == nullptr ? std::string_view() : objects::find_string(*current, {"reason"});
    if (spec_.paused) {
      set_condition(conditions_,
                    {"Progressing", "Unknown", "DeploymentPaused", "Deployment is paused"}, now_,
                    true);
      return;
    }
    if (!progress_.type.empty()) {
      touch(progress_);
      return;
    }
    if (reason == "DeploymentPaused") {
      touch({"Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed"});
      return;
    }
    const std::string subject = newest_ ? "ReplicaSet \"" + newest_->set->key.name + "\""
                                        : "Deployment \"" + deployment_.key.name + "\"";
    if (is_complete()) {
      set_condition(conditions_,
                    {"Progressing", "True", "NewReplicaSetAvailable",
                     subject + " has successfully progressed."},
                    now_, true);
      return;
    }
    // A finished rollout stays finished when a pod falls over or replicas are added.
    if (reason == "NewReplicaSetAvailable" && newest_ && sum.actual == sum.updated) return;
    const Json status = before;
    const bool moved =
        sum.updated > objects::find_int(status, {"updatedReplicas"}) ||
        sum.actual - sum.updated < objects::find_int(status, {"replicas"}) -
                                       objects::find_int(status, {"updatedReplicas"}) ||
        sum.ready > objects::find_int(status, {"readyReplicas"}) ||
        sum.available > objects::find_int(status, {"availableReplicas"});
    if (moved || scaled_ || reason.empty() || reason == "NewReplicaSetAvailable") {
      touch({"Progressing", "True", "ReplicaSetUpdated", subject + " is progressing."});
      return;
    }
    if (reason == "ProgressDeadlineExceeded") return;
    const auto updated = parse_time(objects::find_string(*current, {"lastUpdateTime"}));
    const Time since = updated ? *updated : deployment_.created;
    if (since.ns > std::numeric_limits<int64_t>::max() - spec_.progress_deadline.ns) return;
    const Time deadline = since + spec_.progress_deadline;
    if (deadline > now_) {
      outcome_.look_again(deadline);
      return;
    }
    set_condition(conditions_,
                  {"Progressing", "False", "ProgressDeadlineExceeded",
                   subject + " has timed out progressing."},
                  now_, true);
  }

  /// Sets the condition and restarts the progress deadline even if nothing else about it changed.
  void touch(const Condition& condition) {
    for (Json& entry : conditions_) {
      if (objects::find_string(entry, {"type"}) == condition.type) {
        entry.get_object()["lastUpdateTime"] = format_time(now_);
      }
    }
    set_condition(conditions_, condition, now_, true);
    if (spec_.progress_deadline.ns != std::numeric_limits<int64_t>::max()) {
      outcome_.look_again(now_ + spec_.progress_deadline);
    }
  }

  void copy_replica_failure() {
    drop_condition(conditions_, "ReplicaFailure");
    for (const Replicas& set : all_sets()) {
      const Json* failure = find_condition(*set.set->json, "ReplicaFailure");
      if (failure != nullptr) {
        conditions_.push_back(*failure);
        return;
      }
    }
  }

  void write_revision() {
    const std::string revision = std::to_string(revision_);
    if (deployment_.deleting || (!newest_ && progress_.type.empty()) ||
        deployment_.annotation(kRevision) == revision) {
      return;
    }
    outcome_.writes.push_back(patch_blind(
        deployment_,
        JsonObject{{"metadata", JsonObject{{"annotations", JsonObject{{kRevision, revision}}}}}}));
  }

  const View& view_;
  const ObjectPtr object_;
  const Object& deployment_;
  const Time now_;
  const DeploymentSpec spec_;
  const Json template_;
  JsonArray conditions_;
  int64_t collisions_;
  std::optional<Replicas> newest_;
  std::vector<Replicas> older_;
  int64_t last_old_revision_ = 0;
  int64_t revision_ = 1;
  bool scaled_ = false;
  Condition progress_{"", "", "", ""};
  Outcome outcome_;
};

Outcome reconcile(const View& view, const Key& key, Time now) {
  const ObjectPtr deployment = view.find(key);
  if (deployment == nullptr) return {};
  return DeploymentRound(view, deployment, now).run();
}

void affected(const View& view, const Object& object, std::vector<Key>& keys) {
  if (object.key.kind == Kind::kDeployment) keys.push_back(object.key);
  const OwnerRef* owner = object.controller();
  if (object.key.kind == Kind::kReplicaSet) {
    if (owner == nullptr) {
      find_adopters(view, object, Kind::kDeployment, keys);
    } else if (owner->kind == "Deployment") {
      keys.push_back({Kind::kDeployment, object.key.ns, owner->name});
    }
  }
  // Recreate waits for old pods to be gone.
  if (object.key.kind == Kind::kPod && owner != nullptr && owner->kind == "ReplicaSet") {
    const ObjectPtr set = view.find_uid(owner->uid);
    const OwnerRef* above = set == nullptr ? nullptr : set->controller();
    if (above != nullptr && above->kind == "Deployment") {
      keys.push_back({Kind::kDeployment, object.key.ns, above->name});
    }
  }
}

}  // namespace

const Controller kDeployment = {"deployment", &affected, &reconcile};

}  // namespace berth::controllers
