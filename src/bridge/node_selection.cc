#include "bridge/node_selection.h"

#include <algorithm>

namespace berth::bridge {
namespace {

using core::Operator;
using objects::find;
using objects::find_array;
using objects::find_int;
using objects::find_object;
using objects::find_string;

using Expression = core::BasicExpression<std::string>;
using Term = core::BasicTerm<std::string>;
using Filter = core::BasicNodeFilter<std::string>;

Operator operator_of(std::string_view name) {
  if (name == "NotIn") return Operator::kNotIn;
  if (name == "Exists") return Operator::kExists;
  if (name == "DoesNotExist") return Operator::kDoesNotExist;
  if (name == "Gt") return Operator::kGreater;
  if (name == "Lt") return Operator::kLess;
  return Operator::kIn;
}

Expression expression_of(const Json& json, std::string key) {
  Expression e{std::move(key), operator_of(find_string(json, {"operator"})), {}};
  for (const Json& value : find_array(json, {"values"}))
    if (value.is_string()) e.values.emplace_back(value.get_string());
  return e;
}

Term node_term(const Json& json) {
  Term term;
  for (const Json& e : find_array(json, {"matchExpressions"}))
    term.all.push_back(expression_of(e, std::string(find_string(e, {"key"}))));
  for (const Json& e : find_array(json, {"matchFields"}))
    term.all.push_back(expression_of(e, std::string(find_string(e, {"key"}))));
  return term;
}

core::BasicTaskAffinity<std::string> pod_term(const Json& json, std::string_view ns, bool anti,
                                              bool required, int32_t weight) {
  core::BasicTaskAffinity<std::string> term;
  term.anti = anti;
  term.required = required;
  term.weight = weight;
  term.topology_key = find_string(json, {"topologyKey"});
  term.selector = read_label_selector(json, "labelSelector");
  for (const Json& name : find_array(json, {"namespaces"}))
    if (name.is_string()) term.namespaces.emplace_back(name.get_string());
  if (term.namespaces.empty()) term.namespaces.emplace_back(ns);
  std::sort(term.namespaces.begin(), term.namespaces.end());
  return term;
}

void read_pod_affinity(const Json& pod, std::string_view kind, bool anti, Filter& filter) {
  const std::string_view ns = find_string(pod, {"metadata", "namespace"});
  for (const Json& term : find_array(
           pod, {"spec", "affinity", kind, "requiredDuringSchedulingIgnoredDuringExecution"}))
    filter.tasks.push_back(pod_term(term, ns, anti, true, 1));
  for (const Json& weighted : find_array(
           pod, {"spec", "affinity", kind, "preferredDuringSchedulingIgnoredDuringExecution"}))
    if (const Json* term = find(weighted, {"podAffinityTerm"}))
      filter.tasks.push_back(pod_term(*term, ns, anti, false,
                                      static_cast<int32_t>(find_int(weighted, {"weight"}, 1))));
}

core::TaintEffect effect_of(std::string_view name) {
  if (name == "NoExecute") return core::TaintEffect::kNoExecute;
  if (name == "PreferNoSchedule") return core::TaintEffect::kPreferNoSchedule;
  return core::TaintEffect::kNoSchedule;
}

void read_host_ports(const Json& pod, Filter& filter) {
  const bool host_network = objects::find_bool(pod, {"spec", "hostNetwork"});
  for (const Json& container : find_array(pod, {"spec", "containers"}))
    for (const Json& port : find_array(container, {"ports"})) {
      int64_t number = find_int(port, {"hostPort"});
      if (number == 0 && host_network) number = find_int(port, {"containerPort"});
      if (number <= 0 || number > 65535) continue;
      const std::string_view protocol = find_string(port, {"protocol"}, "TCP");
      const uint32_t offset = protocol == "UDP" ? 65536 : protocol == "SCTP" ? 131072 : 0;
      filter.host_ports.push_back(static_cast<uint32_t>(number) + offset);
    }
  std::sort(filter.host_ports.begin(), filter.host_ports.end());
}

}  // namespace

core::BasicTerm<std::string> read_label_selector(const Json& holder, std::string_view key) {
  Term term;
  for (const auto& [label, value] : find_object(holder, {key, "matchLabels"}))
    if (value.is_string())
      term.all.push_back({std::string(label), Operator::kIn, {std::string(value.get_string())}});
  for (const Json& e : find_array(holder, {key, "matchExpressions"}))
    term.all.push_back(expression_of(e, std::string(find_string(e, {"key"}))));
  return term;
}

void read_node_filter(const Json& pod, Filter& filter) {
  for (const auto& [key, value] : find_object(pod, {"spec", "nodeSelector"}))
    if (value.is_string())
      filter.selector.push_back(
          {std::string(key), Operator::kIn, {std::string(value.get_string())}});
  for (const Json& term :
       find_array(pod, {"spec", "affinity", "nodeAffinity",
                        "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"}))
    filter.affinity.push_back(node_term(term));
  for (const Json& weighted : find_array(pod, {"spec", "affinity", "nodeAffinity",
                                               "preferredDuringSchedulingIgnoredDuringExecution"}))
    if (const Json* preference = find(weighted, {"preference"})) {
      Term term = node_term(*preference);
      term.weight = static_cast<int32_t>(find_int(weighted, {"weight"}, 1));
      filter.preferred.push_back(std::move(term));
    }
  read_pod_affinity(pod, "podAffinity", false, filter);
  read_pod_affinity(pod, "podAntiAffinity", true, filter);
  for (const Json& json : find_array(pod, {"spec", "tolerations"})) {
    core::BasicToleration<std::string> toleration;
    toleration.key = find_string(json, {"key"});
    toleration.any_key = toleration.key.empty();
    toleration.exists = find_string(json, {"operator"}) == "Exists";
    toleration.value = find_string(json, {"value"});
    const std::string_view effect = find_string(json, {"effect"});
    toleration.any_effect = effect.empty();
    toleration.effect = effect_of(effect);
    filter.tolerations.push_back(std::move(toleration));
  }
  for (const Json& json : find_array(pod, {"spec", "topologySpreadConstraints"}))
    filter.spread.push_back(
        {.topology_key = std::string(find_string(json, {"topologyKey"})),
         .max_skew = static_cast<int32_t>(find_int(json, {"maxSkew"}, 1)),
         .required = find_string(json, {"whenUnsatisfiable"}, "DoNotSchedule") == "DoNotSchedule",
         .selector = read_label_selector(json, "labelSelector"),
         .ns = std::string(find_string(pod, {"metadata", "namespace"}))});
  read_host_ports(pod, filter);
}

}  // namespace berth::bridge
