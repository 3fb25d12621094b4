#include "apiserver/api/quota.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "apiserver/api/objects_api.h"
#include "base/quantity.h"

namespace berth::apiserver {
namespace {

using objects::find_array;
using objects::find_string;

constexpr std::string_view kQuotas = "resourcequotas";

using Amounts = std::map<std::string, Quantity, std::less<>>;

void add(Amounts& amounts, std::string_view name, Quantity amount) {
  auto [slot, made] = amounts.try_emplace(std::string(name), amount);
  if (!made) {
    slot->second =
        Quantity::from_milli(slot->second.milli() + amount.milli(), slot->second.format());
  }
}

bool has_ended(const Json& pod) {
  const std::string_view phase = find_string(pod, {"status", "phase"});
  return phase == "Succeeded" || phase == "Failed";
}

Amounts resources_of(const Json& container, std::string_view side) {
  Amounts amounts;
  for (const auto& member : objects::find_object(container, {"resources", side})) {
    const auto amount = Quantity::parse(find_string(member.value(), {}));
    if (amount) amounts[std::string(member.key())] = *amount;
  }
  return amounts;
}

/// What an object counts as, by the names that quotas use.
Amounts charges(std::string_view resource, const Json& object) {
  Amounts amounts;
  const Quantity one = Quantity::from_units(1);
  amounts[fmt::format("count/{}", resource)] = one;
  amounts[std::string(resource)] = one;
  if (resource == "services") {
    const std::string_view type = find_string(object, {"spec", "type"});
    if (type == "NodePort") amounts["services.nodeports"] = one;
    if (type == "LoadBalancer") amounts["services.loadbalancers"] = one;
  }
  if (resource != "pods") return amounts;
  if (has_ended(object)) {
    amounts.erase("pods");
    return amounts;
  }
  for (const auto& [name, amount] : pod_resources(object, "requests")) {
    amounts["requests." + name] = amount;
    if (name == "cpu" || name == "memory" || name == "ephemeral-storage") amounts[name] = amount;
  }
  for (const auto& [name, amount] : pod_resources(object, "limits")) {
    amounts["limits." + name] = amount;
  }
  return amounts;
}

Amounts hard_of(const Json& quota) {
  Amounts hard;
  for (const auto& member : objects::find_object(quota, {"spec", "hard"})) {
    const auto amount = Quantity::parse(find_string(member.value(), {}));
    if (amount) hard[std::string(member.key())] = *amount;
  }
  return hard;
}

/// The resource whose objects a quota's entry counts.
std::string counted_resource(std::string_view entry) {
  if (entry.starts_with("count/")) return std::string(entry.substr(6));
  if (entry.starts_with("requests.") || entry.starts_with("limits.") || entry == "cpu" ||
      entry == "memory" || entry == "ephemeral-storage") {
    return "pods";
  }
  if (entry.starts_with("services.")) return "services";
  return std::string(entry);
}

struct Quota {
  StoreKey key;
  SharedJson tree;
  Amounts hard;
};

std::vector<Quota> quotas_of(const Transaction& transaction, std::string_view ns) {
  std::vector<Quota> quotas;
  transaction.for_each(kQuotas, ns, [&](const StoreKey& key, const StoredPtr& stored) {
    const SharedJson tree = stored->tree();
    quotas.push_back({key, tree, hard_of(*tree)});
    return true;
  });
  return quotas;
}

/// What the namespace uses of every entry of `hard`.
Amounts usage(const Transaction& transaction, std::string_view ns, const Amounts& hard) {
  std::map<std::string, std::vector<std::string>> entries_by_resource;
  Amounts used;
  for (const auto& [entry, unused] : hard) {
    entries_by_resource[counted_resource(entry)].push_back(entry);
    used[entry] = Quantity();
  }
  for (const auto& [resource, entries] : entries_by_resource) {
    transaction.for_each(resource, ns, [&](const StoreKey&, const StoredPtr& stored) {
      const Amounts charged = charges(resource, *stored->tree());
      for (const std::string& entry : entries) {
        if (const auto found = charged.find(entry); found != charged.end()) {
          const Quantity before = used[entry];
          used[entry] =
              Quantity::from_milli(before.milli() + found->second.milli(),
                                   before.milli() == 0 ? found->second.format() : before.format());
        }
      }
      return true;
    });
  }
  return used;
}

void write_usage(Transaction& transaction, const Quota& quota, const Amounts& used) {
  Json updated = *quota.tree;
  JsonObject hard_json;
  JsonObject used_json;
  for (const auto& [entry, amount] : quota.hard) hard_json[entry] = amount.to_string();
  for (const auto& [entry, amount] : used) used_json[entry] = amount.to_string();
  JsonObject& status = objects::ensure_object(updated, {"status"});
  status["hard"] = std::move(hard_json);
  status["used"] = std::move(used_json);
  if (updated != *quota.tree) transaction.put(quota.key, std::move(updated));
}

std::string join(const Amounts& amounts, const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    if (!text.empty()) text += ',';
    const auto found = amounts.find(name);
    text += fmt::format("{}={}", name, found == amounts.end() ? "0" : found->second.to_string());
  }
  return text;
}

}  // namespace

// Source of the rule: KEP-753 "Sidecar containers", resources: an init container that goes on
// counts with all that start after it.
std::map<std::string, Quantity, std::less<>> pod_resources(const Json& pod, std::string_view side) {
  Amounts total;
  for (const Json& container : find_array(pod, {"spec", "containers"})) {
    for (const auto& [name, amount] : resources_of(container, side)) add(total, name, amount);
  }
  Amounts sidecars;
  Amounts most;
  for (const Json& container : find_array(pod, {"spec", "initContainers"})) {
    const bool goes_on = find_string(container, {"restartPolicy"}) == "Always";
    Amounts now = sidecars;
    for (const auto& [name, amount] : resources_of(container, side)) {
      add(now, name, amount);
      if (goes_on) add(total, name, amount);
    }
    if (goes_on) sidecars = now;
    for (const auto& [name, amount] : now) {
      Quantity& slot = most.try_emplace(name, amount).first->second;
      slot = std::max(slot, amount);
    }
  }
  for (const auto& [name, amount] : most) {
    Quantity& slot = total.try_emplace(name, amount).first->second;
    slot = std::max(slot, amount);
  }
  return total;
}

Answer<> charge_quota(Transaction& transaction, const Subject& subject, const Json& object,
                      const Json* before) {
  const std::string resource = resource_of(*subject.kind);
  if (!subject.kind->namespaced || resource == "events" || resource == kQuotas) return {};
  const std::vector<Quota> quotas = quotas_of(transaction, subject.ns);
  if (quotas.empty()) return {};
  const Amounts charged = charges(resource, object);
  const Amounts held = before != nullptr ? charges(resource, *before) : Amounts();
  std::vector<std::pair<const Quota*, Amounts>> updates;
  for (const Quota& quota : quotas) {
    std::vector<std::string> exceeded;
    std::vector<std::string> missing;
    Amounts used = usage(transaction, subject.ns, quota.hard);
    const Amounts used_before = used;
    bool touched = false;
    for (const auto& [entry, limit] : quota.hard) {
      if (counted_resource(entry) != resource) continue;
      const auto found = charged.find(entry);
      const bool compute = entry != "pods" && !entry.starts_with("count/") && resource == "pods";
      if (found == charged.end()) {
        // What is not said cannot be counted: only extended resources default to none.
        const bool basic = entry.ends_with("cpu") || entry.ends_with("memory");
        if (compute && basic) missing.push_back(entry);
        continue;
      }
      touched = true;
      const auto had = held.find(entry);
      const int64_t more = found->second.milli() - (had == held.end() ? 0 : had->second.milli());
      used[entry] = Quantity::from_milli(used[entry].milli() + more, found->second.format());
      if (more > 0 && used[entry] > limit) exceeded.push_back(entry);
    }
    const std::string& name = quota.key.name;
    if (!missing.empty()) {
      std::string list;
      for (const std::string& entry : missing) list += (list.empty() ? "" : ",") + entry;
      return forbidden(*subject.kind, subject.name,
                       fmt::format("failed quota: {}: must specify {}", name, list));
    }
    if (!exceeded.empty()) {
      return forbidden(*subject.kind, subject.name,
                       fmt::format("exceeded quota: {}, requested: {}, used: {}, limited: {}", name,
                                   join(charged, exceeded), join(used_before, exceeded),
                                   join(quota.hard, exceeded)));
    }
    if (touched) updates.emplace_back(&quota, std::move(used));
  }
  for (const auto& [quota, used] : updates) write_usage(transaction, *quota, used);
  return {};
}

void refresh_quotas(Transaction& transaction, std::string_view ns) {
  if (ns.empty()) return;
  for (const Quota& quota : quotas_of(transaction, ns)) {
    write_usage(transaction, quota, usage(transaction, ns, quota.hard));
  }
}

bool changes_quota(const objects::Kind& kind, const Json& before, const Json* after) {
  if (!kind.namespaced) return false;
  if (after == nullptr) return kind.kind != "Event" && kind.kind != "Lease";
  if (kind.kind == "ResourceQuota") {
    return objects::find_object(before, {"spec"}) != objects::find_object(*after, {"spec"});
  }
  if (kind.kind != "Pod") return false;
  return has_ended(before) != has_ended(*after) ||
         find_array(before, {"spec", "containers"}) != find_array(*after, {"spec", "containers"});
}

}  // namespace berth::apiserver
