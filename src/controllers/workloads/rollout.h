#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controllers/view.h"

namespace berth::controllers {

/// What a Deployment asks for, with the server's defaults where a field is missing.
struct DeploymentSpec {
  int64_t replicas = 1;
  bool recreate = false;
  bool paused = false;
  int64_t max_surge = 0;
  int64_t max_unavailable = 0;
  int64_t history_limit = 10;
  Duration min_ready;
  /// Unset (the largest value) when there is no deadline.
  Duration progress_deadline;

  static DeploymentSpec read(const Json& deployment);
};

/// A ReplicaSet of a Deployment as the rollout sees it.
struct Replicas {
  ObjectPtr set;
  int64_t wanted = 0;
  int64_t actual = 0;
  int64_t ready = 0;
  int64_t available = 0;

  static Replicas read(ObjectPtr set);
};

/// How many replicas each ReplicaSet should have next.
struct Scale {
  ObjectPtr set;
  int64_t replicas = 0;
};

/// One step of a rolling update: first the new one up to what `maxSurge` allows, else the old ones
/// down to what `maxUnavailable` allows, those that never became ready first. `older` is ordered
/// from the oldest.
std::vector<Scale> roll(const DeploymentSpec& spec, const Replicas& newest,
                        const std::vector<Replicas>& older);

/// Spreads a change of `spec.replicas` over all sets in proportion to their size, as happens in the
/// middle of a rollout. `sets` has the newest last. Largest remainders, ties to the newest.
std::vector<Scale> spread(const DeploymentSpec& spec, const std::vector<Replicas>& sets);

/// A short name for a pod template: equal templates give equal names, whatever their key order.
/// `collisions` makes another one where a name was taken by a different template.
std::string template_hash(const Json& pod_template, int64_t collisions);
/// Are two templates the same but for the label that carries the hash?
bool same_template(const Json& a, const Json& b);

}  // namespace berth::controllers
