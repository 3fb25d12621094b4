#include "controllers/workloads/rollout.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include <boost/json/serialize.hpp>

namespace berth::controllers {
namespace {

constexpr std::string_view kHashLabel = "pod-template-hash";

/// An int, or a percentage of `total`.
int64_t resolve(const Json* value, int64_t total, bool round_up, std::string_view fallback) {
  std::string_view text = fallback;
  if (value != nullptr) {
    if (value->is_number()) return value->to_number<int64_t>();
    if (value->is_string()) text = value->get_string();
  }
  int64_t percent = 0;
  std::from_chars(text.data(), text.data() + text.size(), percent);
  return round_up ? (total * percent + 99) / 100 : total * percent / 100;
}

JsonObject without_hash(const Json& pod_template) {
  Json copy = pod_template;
  JsonObject* labels = nullptr;
  if (objects::find(copy, {"metadata", "labels"}) != nullptr) {
    labels = &objects::ensure_object(copy, {"metadata", "labels"});
    labels->erase(kHashLabel);
  }
  return copy.is_object() ? std::move(copy.get_object()) : JsonObject{};
}

/// FNV-1a over the document with its keys in order.
class Hasher {
 public:
  void add(const Json& value) {
    if (const JsonObject* object = value.if_object()) {
      std::vector<std::string_view> keys;
      for (const auto& entry : *object) keys.push_back(entry.key());
      std::sort(keys.begin(), keys.end());
      add_text("{");
      for (std::string_view key : keys) {
        add_text(key);
        add_text(":");
        add(object->at(key));
      }
      add_text("}");
    } else if (const JsonArray* array = value.if_array()) {
      add_text("[");
      for (const Json& item : *array) add(item);
      add_text("]");
    } else {
      add_text(boost::json::serialize(value));
      add_text(",");
    }
  }
  uint64_t value() const { return hash_; }

 private:
  void add_text(std::string_view text) {
    for (const char c : text) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace

DeploymentSpec DeploymentSpec::read(const Json& deployment) {
  DeploymentSpec spec;
  spec.replicas = std::max<int64_t>(0, objects::find_int(deployment, {"spec", "replicas"}, 1));
  spec.recreate = objects::find_string(deployment, {"spec", "strategy", "type"}) == "Recreate";
  spec.paused = objects::find_bool(deployment, {"spec", "paused"});
  spec.history_limit = objects::find_int(deployment, {"spec", "revisionHistoryLimit"}, 10);
  spec.min_ready = Duration::seconds(objects::find_int(deployment, {"spec", "minReadySeconds"}));
  const int64_t deadline = objects::find_int(deployment, {"spec", "progressDeadlineSeconds"}, 600);
  spec.progress_deadline = deadline >= std::numeric_limits<int32_t>::max()
                               ? Duration{std::numeric_limits<int64_t>::max()}
                               : Duration::seconds(deadline);
  if (spec.recreate) {
    spec.max_unavailable = spec.replicas;
    return spec;
  }
  spec.max_surge =
      resolve(objects::find(deployment, {"spec", "strategy", "rollingUpdate", "maxSurge"}),
              spec.replicas, true, "25%");
  spec.max_unavailable =
      resolve(objects::find(deployment, {"spec", "strategy", "rollingUpdate", "maxUnavailable"}),
              spec.replicas, false, "25%");
  // Both zero would never move: a percentage that rounds down to nothing means one.
  if (spec.max_surge == 0 && spec.max_unavailable == 0) spec.max_unavailable = 1;
  spec.max_unavailable = std::min(spec.max_unavailable, spec.replicas);
  return spec;
}

Replicas Replicas::read(ObjectPtr set) {
  Replicas replicas;
  replicas.wanted = objects::find_int(*set->json, {"spec", "replicas"}, 1);
  replicas.actual = objects::find_int(*set->json, {"status", "replicas"});
  replicas.ready = objects::find_int(*set->json, {"status", "readyReplicas"});
  replicas.available = objects::find_int(*set->json, {"status", "availableReplicas"});
  replicas.set = std::move(set);
  return replicas;
}

std::vector<Scale> roll(const DeploymentSpec& spec, const Replicas& newest,
                        const std::vector<Replicas>& older) {
  int64_t total = newest.wanted;
  int64_t available = newest.available;
  int64_t old_total = 0;
  for (const Replicas& old : older) {
    total += old.wanted;
    available += old.available;
    old_total += old.wanted;
  }

  // 1. Too many of the new one (the user scaled down), or room for more of it.
  if (newest.wanted > spec.replicas) return {{newest.set, spec.replicas}};
  if (newest.wanted < spec.replicas) {
    const int64_t room = spec.replicas + spec.max_surge - total;
    if (room > 0) {
      return {{newest.set, std::min(spec.replicas, newest.wanted + room)}};
    }
  }
  if (old_total == 0) return {};

  // 2. What may go without falling below the floor. Replicas of the new set that are asked for but
  // not available yet are not counted on.
  const int64_t floor = spec.replicas - spec.max_unavailable;
  int64_t may_go = total - floor - (newest.wanted - newest.available);
  if (may_go <= 0) return {};
  std::vector<int64_t> left;
  for (const Replicas& old : older) left.push_back(old.wanted);

  // 3. Those that serve nobody first.
  for (size_t i = 0; i < older.size() && may_go > 0; ++i) {
    const int64_t unavailable = std::max<int64_t>(0, older[i].wanted - older[i].available);
    const int64_t gone = std::min(may_go, unavailable);
    left[i] -= gone;
    may_go -= gone;
  }
  // 4. Then those that do, from the oldest.
  may_go = std::min(may_go, available - floor);
  for (size_t i = 0; i < older.size() && may_go > 0; ++i) {
    const int64_t gone = std::min(may_go, left[i]);
    left[i] -= gone;
    may_go -= gone;
  }
  std::vector<Scale> steps;
  for (size_t i = 0; i < older.size(); ++i) {
    if (left[i] != older[i].wanted) steps.push_back({older[i].set, left[i]});
  }
  return steps;
}

std::vector<Scale> spread(const DeploymentSpec& spec, const std::vector<Replicas>& sets) {
  int64_t total = 0;
  for (const Replicas& set : sets) total += set.wanted;
  if (total == 0) return {};
  const int64_t allowed = spec.replicas > 0 ? spec.replicas + spec.max_surge : 0;
  struct Share {
    size_t at;
    int64_t replicas;
    int64_t remainder;
  };
  std::vector<Share> shares;
  int64_t given = 0;
  for (size_t i = 0; i < sets.size(); ++i) {
    const int64_t exact = sets[i].wanted * allowed;
    shares.push_back({i, exact / total, exact % total});
    given += exact / total;
  }
  std::sort(shares.begin(), shares.end(), [](const Share& a, const Share& b) {
    return std::pair(b.remainder, b.at) < std::pair(a.remainder, a.at);
  });
  for (size_t i = 0; i < shares.size() && given < allowed; ++i, ++given) ++shares[i].replicas;
  std::sort(shares.begin(), shares.end(),
            [](const Share& a, const Share& b) { return a.at < b.at; });
  std::vector<Scale> steps;
  for (const Share& share : shares) {
    if (share.replicas != sets[share.at].wanted) {
      steps.push_back({sets[share.at].set, share.replicas});
    }
  }
  return steps;
}

std::string template_hash(const Json& pod_template, int64_t collisions) {
  Hasher hasher;
  hasher.add(without_hash(pod_template));
  hasher.add(Json(collisions));
  // No vowels and no look-alikes, so that a name spells nothing by accident.
  static constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
  std::string text;
  uint64_t rest = hasher.value();
  for (int i = 0; i < 10; ++i, rest /= kLetters.size()) text += kLetters[rest % kLetters.size()];
  return text;
}

bool same_template(const Json& a, const Json& b) {
  return without_hash(a) == without_hash(b);
}

}  // namespace berth::controllers
