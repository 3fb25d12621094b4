#include "apiserver/api/resize.h"

#include <map>
#include <set>
#include <string>

#include <fmt/format.h>

#include "apiserver/api/quota.h"
#include "apiserver/api/tenancy.h"
#include "base/quantity.h"

namespace berth::apiserver {
namespace {

using objects::find_string;
using Amounts = std::map<std::string, Quantity, std::less<>>;

std::optional<Quantity> quantity_at(const Json& object,
                                    std::initializer_list<std::string_view> path) {
  const auto amount = Quantity::parse(find_string(object, path));
  return amount ? std::optional(*amount) : std::nullopt;
}

std::string_view phase_of(const Json& pod) {
  return find_string(pod, {"status", "phase"});
}

/// What the pods on a node ask for, but for one.
Amounts asked_by_others(const Transaction& transaction, const std::string& node,
                        const Subject& pod) {
  Amounts asked;
  transaction.for_each("pods", "", [&](const StoreKey& key, const StoredPtr& stored) {
    if (key.ns == pod.ns && key.name == pod.name) return true;
    const SharedJson other = stored->tree();
    if (find_string(*other, {"spec", "nodeName"}) != node) return true;
    if (phase_of(*other) == "Succeeded" || phase_of(*other) == "Failed") return true;
    for (const auto& [name, amount] : pod_resources(*other, "requests")) {
      Quantity& sum =
          asked.try_emplace(name, Quantity::from_milli(0, amount.format())).first->second;
      sum = Quantity::from_milli(sum.milli() + amount.milli(), amount.format());
    }
    return true;
  });
  return asked;
}

}  // namespace

Answer<> check_growth(const Transaction& transaction, const Subject& subject, const Json& before,
                      const Json& after) {
  const Amounts had = pod_resources(before, "requests");
  Amounts grown;
  for (const auto& [name, amount] : pod_resources(after, "requests")) {
    const auto old = had.find(name);
    if (old == had.end() || amount > old->second) grown[name] = amount;
  }
  const std::string node(find_string(after, {"spec", "nodeName"}));
  if (grown.empty() || node.empty()) return {};

  const StoredPtr stored_node = transaction.get({"nodes", "", node});
  const Amounts others = asked_by_others(transaction, node, subject);
  for (const auto& [name, amount] : grown) {
    if (!stored_node) break;
    const auto all = quantity_at(*stored_node->tree(), {"status", "allocatable", name});
    if (!all) continue;
    const auto taken = others.find(name);
    const Quantity free = Quantity::from_milli(
        all->milli() - (taken == others.end() ? 0 : taken->second.milli()), all->format());
    if (amount <= free) continue;
    return forbidden(
        *subject.kind, subject.name,
        fmt::format("it would ask for {} {}; of the {} on node {} it can have {}",
                    amount.to_string(), name, all->to_string(), node, free.to_string()));
  }

  std::set<std::string> seen;  // a ring of parents ends too
  for (std::string queue = queue_of(transaction, subject.ns, after);
       !queue.empty() && seen.insert(queue).second;) {
    const StoredPtr stored = transaction.get({"queues.berth.dev", "", queue});
    if (!stored) break;
    const SharedJson tree = stored->tree();
    for (const auto& [name, amount] : grown) {
      const auto limit = quantity_at(*tree, {"spec", "limit", name});
      if (!limit) continue;
      const Quantity used = quantity_at(*tree, {"status", "allocated", name}).value_or(Quantity());
      const auto old = had.find(name);
      const int64_t more = amount.milli() - (old == had.end() ? 0 : old->second.milli());
      if (used.milli() + more <= limit->milli()) continue;
      return forbidden(*subject.kind, subject.name,
                       fmt::format("queue {} is limited to {} {}; it uses {}, and this is {} more",
                                   queue, limit->to_string(), name, used.to_string(),
                                   Quantity::from_milli(more, amount.format()).to_string()));
    }
    queue = find_string(*tree, {"spec", "parent"});
  }
  return {};
}

}  // namespace berth::apiserver
