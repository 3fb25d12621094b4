#include "core/placement/constraints/feasibility.h"

#include <algorithm>
#include <charconv>

namespace berth::core {
namespace {

std::optional<int64_t> as_number(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool matches_value(const Expression& e, NameId value, const NameTable& names) {
  const bool listed = std::find(e.values.begin(), e.values.end(), value) != e.values.end();
  switch (e.op) {
    case Operator::kIn:
      return value.valid() && listed;
    case Operator::kNotIn:
      return !value.valid() || !listed;
    case Operator::kExists:
      return value.valid();
    case Operator::kDoesNotExist:
      return !value.valid();
    case Operator::kGreater:
    case Operator::kLess: {
      if (!value.valid() || e.values.size() != 1) return false;
      const auto left = as_number(names.text(value));
      const auto right = as_number(names.text(e.values[0]));
      if (!left || !right) return false;
      return e.op == Operator::kGreater ? *left > *right : *left < *right;
    }
  }
  return false;
}

int64_t times(int64_t capacity, int64_t request, int64_t most) {
  return request <= 0 ? most : std::min(most, capacity / request);
}

}  // namespace

bool matches(const Expression& e, const Node& node, const NameTable& names) {
  if (names.text(e.key) == "metadata.name") return matches_value(e, names.find(node.name), names);
  return matches_value(e, node.label(e.key), names);
}

bool matches(const Expression& e, std::span<const Label> labels, const NameTable& names) {
  const auto at = std::find_if(labels.begin(), labels.end(),
                               [&](const Label& label) { return label.key == e.key; });
  return matches_value(e, at == labels.end() ? NameId{} : at->value, names);
}

bool matches(const Term& term, std::span<const Label> labels, const NameTable& names) {
  return std::all_of(term.all.begin(), term.all.end(),
                     [&](const Expression& e) { return matches(e, labels, names); });
}

bool tolerates(const std::vector<Toleration>& tolerations, const Taint& taint) {
  return std::any_of(tolerations.begin(), tolerations.end(), [&](const Toleration& t) {
    return (t.any_key || t.key == taint.key) && (t.exists || t.value == taint.value) &&
           (t.any_effect || t.effect == taint.effect);
  });
}

int32_t Feasibility::Domains::count(NameId value) const {
  const auto at = std::lower_bound(counts.begin(), counts.end(), std::pair(value, INT32_MIN));
  return at != counts.end() && at->first == value ? at->second : 0;
}

Feasibility::Feasibility(const State& state, const PlaceQuery& query)
    : state_(state),
      query_(query),
      task_(state.task(query.task)),
      shape_(state.shape(task_.shape)),
      hostname_(state.names().find("kubernetes.io/hostname")) {
  for (const TaskAffinity& term : shape_.filter.tasks)
    affinity_.push_back(count_domains(term.topology_key, term.selector, term.namespaces, false));
  for (const Spread& spread : shape_.filter.spread)
    spread_.push_back(count_domains(spread.topology_key, spread.selector, {spread.ns}, true));

  // Anti-affinity works both ways: those who are there may not want this one.
  std::vector<bool> wary(state.shape_count(), false);
  bool any = false;
  for (size_t i = 0; i < wary.size(); ++i)
    for (const TaskAffinity& term : state.shape(ShapeId{static_cast<uint32_t>(i)}).filter.tasks)
      if (term.anti && term.required) wary[i] = any = true;
  if (!any) return;
  for (const Task& other : state.tasks()) {
    if (!other.holds_place() || !wary[other.shape.index()] || &other == &task_) continue;
    for (const TaskAffinity& term : state.shape(other.shape).filter.tasks) {
      if (!term.anti || !term.required) continue;
      if (!std::binary_search(term.namespaces.begin(), term.namespaces.end(), task_.ns)) continue;
      if (!matches(term.selector, state.labels(task_.labels), state.names())) continue;
      const NameId value = state.node(other.node).label(term.topology_key);
      if (value.valid())
        forbidden_.push_back({term.topology_key, value});
      else if (term.topology_key == hostname_)
        forbidden_nodes_.push_back(other.node);
    }
  }
}

Feasibility::Domains Feasibility::count_domains(NameId key, const Term& selector,
                                                const std::vector<NameId>& namespaces,
                                                bool eligible_only) const {
  Domains domains{.key = key, .counts = {}};
  for (const Node& node : state_.nodes()) {
    if (!node.alive) continue;
    const NameId value = node.label(key);
    if (!value.valid()) continue;
    if (eligible_only && !(selector_matches(node) && affinity_matches(node))) continue;
    int32_t count = 0;
    for (TaskId id : node.tasks) {
      const Task& other = state_.task(id);
      if (std::find(namespaces.begin(), namespaces.end(), other.ns) != namespaces.end() &&
          matches(selector, state_.labels(other.labels), state_.names()))
        ++count;
    }
    const auto at =
        std::lower_bound(domains.counts.begin(), domains.counts.end(), std::pair(value, INT32_MIN));
    if (at != domains.counts.end() && at->first == value)
      at->second += count;
    else
      domains.counts.insert(at, {value, count});
    domains.total += count;
  }
  domains.least = domains.counts.empty() ? 0 : INT32_MAX;
  for (const auto& [value, count] : domains.counts) domains.least = std::min(domains.least, count);
  return domains;
}

bool Feasibility::selector_matches(const Node& node) const {
  return std::all_of(shape_.filter.selector.begin(), shape_.filter.selector.end(),
                     [&](const Expression& e) { return matches(e, node, state_.names()); });
}

bool Feasibility::affinity_matches(const Node& node) const {
  const std::vector<Term>& terms = shape_.filter.affinity;
  return terms.empty() || std::any_of(terms.begin(), terms.end(), [&](const Term& term) {
           return !term.all.empty() &&
                  std::all_of(term.all.begin(), term.all.end(), [&](const Expression& e) {
                    return matches(e, node, state_.names());
                  });
         });
}

bool Feasibility::allowed(const DeviceRequest& request, const Device& device) const {
  if (device.resource != request.resource) return false;
  if (!(query_.accelerators >> device.accelerator.index() & 1)) return false;
  return request.models.empty() || std::find(request.models.begin(), request.models.end(),
                                             device.model) != request.models.end();
}

std::optional<Constraint> Feasibility::rejects_always(const Node& node) const {
  for (const Taint& taint : node.taints)
    if (taint.effect != TaintEffect::kPreferNoSchedule &&
        !tolerates(shape_.filter.tolerations, taint))
      return Constraint::kTaint;
  if (!selector_matches(node)) return Constraint::kNodeSelector;
  if (!affinity_matches(node)) return Constraint::kNodeAffinity;
  if (query_.domain.key.valid() && node.label(query_.domain.key) != query_.domain.value)
    return Constraint::kTopology;
  return std::nullopt;
}

std::optional<Constraint> Feasibility::rejects_devices(const Node& node) const {
  const DeviceRequest& request = shape_.devices;
  if (request.count == 0) return std::nullopt;
  size_t of_resource = 0, of_model = 0, large_enough = 0, healthy = 0, unclaimed = 0, free = 0;
  for (const Device& device : node.devices) {
    if (device.resource != request.resource) continue;
    ++of_resource;
    if (!allowed(request, device)) continue;
    ++of_model;
    if (request.memory_bytes > device.memory_bytes) continue;
    ++large_enough;
    if (!device.healthy || device.busy) continue;
    ++healthy;
    const DeviceShare share = share_on(request, device);
    if (share.milli > device.free_milli() || share.memory_bytes > device.free_memory_bytes())
      continue;
    ++free;
    if (device.claims == 0) ++unclaimed;
  }
  if (of_resource > 0) {
    if (unclaimed >= request.count) return std::nullopt;
    if (of_resource >= request.count && of_model < request.count) return Constraint::kDeviceModel;
    if (of_model >= request.count && large_enough < request.count) return Constraint::kDeviceMemory;
    if (large_enough >= request.count && healthy < request.count) return Constraint::kDeviceBusy;
    return free >= request.count ? Constraint::kClaimed : Constraint::kDevices;
  }
  for (const CountedResource& row : node.counted) {
    if (row.resource != request.resource) continue;
    // The kubelet chooses: only whole devices, of the one model that the node says it has.
    if (!request.whole() || request.memory_bytes > 0) return Constraint::kDeviceMemory;
    if (!request.models.empty() &&
        std::find(request.models.begin(), request.models.end(), row.model) == request.models.end())
      return Constraint::kDeviceModel;
    if (row.accelerator.valid() && !(query_.accelerators >> row.accelerator.index() & 1))
      return Constraint::kDeviceModel;
    if (row.free() >= request.count) return std::nullopt;
    return row.capacity - row.used >= request.count ? Constraint::kClaimed : Constraint::kDevices;
  }
  return Constraint::kDevices;
}

std::optional<Constraint> Feasibility::rejects_capacity(const Node& node,
                                                        const Resources& free) const {
  const Resources& want = shape_.request;
  for (const auto& request : shape_.counted) {
    const auto row =
        std::find_if(node.counted.begin(), node.counted.end(),
                     [&](const CountedResource& c) { return c.resource == request.resource; });
    if (row == node.counted.end() || row->free() < request.amount)
      return Constraint::kExtendedResource;
  }
  const auto check = [&](int64_t room, int64_t physical, int64_t request,
                         Constraint constraint) -> std::optional<Constraint> {
    if (request <= 0 || room >= request) return std::nullopt;
    return physical >= request ? Constraint::kClaimed : constraint;
  };
  const Resources& cap = node.capacity;
  const Resources& used = node.used;
  if (auto no =
          check(free.cpu_milli, cap.cpu_milli - used.cpu_milli, want.cpu_milli, Constraint::kCpu))
    return no;
  if (auto no = check(free.memory_bytes, cap.memory_bytes - used.memory_bytes, want.memory_bytes,
                      Constraint::kMemory))
    return no;
  if (auto no = check(free.ephemeral_bytes, cap.ephemeral_bytes - used.ephemeral_bytes,
                      want.ephemeral_bytes, Constraint::kEphemeralStorage))
    return no;
  return check(free.pods, cap.pods - used.pods, want.pods, Constraint::kPods);
}

std::optional<Constraint> Feasibility::rejects_tasks(const Node& node) const {
  const NodeFilter& filter = shape_.filter;
  if (!filter.host_ports.empty())
    for (TaskId id : node.tasks)
      for (uint32_t port : state_.shape_of(id).filter.host_ports)
        if (std::binary_search(filter.host_ports.begin(), filter.host_ports.end(), port))
          return Constraint::kHostPort;
  for (size_t i = 0; i < filter.tasks.size(); ++i) {
    const TaskAffinity& term = filter.tasks[i];
    if (!term.required) continue;
    const NameId value = node.label(term.topology_key);
    const int32_t near = value.valid() ? affinity_[i].count(value) : 0;
    if (term.anti && near > 0) return Constraint::kTaskAffinity;
    // The first of a group that wants to be near itself may go anywhere.
    const bool first = affinity_[i].total == 0 &&
                       matches(term.selector, state_.labels(task_.labels), state_.names());
    if (!term.anti && near == 0 && !(first && value.valid())) return Constraint::kTaskAffinity;
  }
  for (size_t i = 0; i < filter.spread.size(); ++i) {
    const Spread& spread = filter.spread[i];
    if (!spread.required) continue;
    const NameId value = node.label(spread.topology_key);
    if (!value.valid() || spread_[i].count(value) + 1 - spread_[i].least > spread.max_skew)
      return Constraint::kSpread;
  }
  for (const Label& label : forbidden_)
    if (node.label(label.key) == label.value) return Constraint::kTaskAffinity;
  for (NodeId id : forbidden_nodes_)
    if (&state_.node(id) == &node) return Constraint::kTaskAffinity;
  return std::nullopt;
}

std::optional<Constraint> Feasibility::rejects(const Node& node) const {
  if (!node.ready) return Constraint::kNotReady;
  if (node.unschedulable) return Constraint::kUnschedulable;
  if (auto no = rejects_always(node)) return no;
  if (auto no = rejects_devices(node)) return no;
  if (auto no = rejects_capacity(node, node.free())) return no;
  return rejects_tasks(node);
}

int64_t Feasibility::slots_when_empty(const Node& node) const {
  if (!node.alive || !selector_matches(node) || !affinity_matches(node)) return 0;
  return slots(node, true);
}

int64_t Feasibility::slots(const Node& node, bool empty) const {
  const Resources& want = shape_.request;
  const Resources room = empty ? node.capacity : node.free();
  int64_t most = INT32_MAX;
  most = times(room.cpu_milli, want.cpu_milli, most);
  most = times(room.memory_bytes, want.memory_bytes, most);
  most = times(room.ephemeral_bytes, want.ephemeral_bytes, most);
  most = times(room.pods, want.pods, most);
  const auto free = [&](const CountedResource& row) { return empty ? row.capacity : row.free(); };
  for (const auto& request : shape_.counted) {
    const auto row =
        std::find_if(node.counted.begin(), node.counted.end(),
                     [&](const CountedResource& c) { return c.resource == request.resource; });
    most = row == node.counted.end() ? 0 : times(free(*row), request.amount, most);
  }
  const DeviceRequest& request = shape_.devices;
  if (request.count == 0) return most;
  int64_t devices = 0;  // how many shares of this size there are
  for (const Device& device : node.devices) {
    if (!allowed(request, device) || request.memory_bytes > device.memory_bytes) continue;
    if (!empty && !device.usable()) continue;
    const DeviceShare share = share_on(request, device);
    if (share.milli > 1000) continue;
    int64_t per = (empty ? 1000 : device.free_milli()) / std::max<int64_t>(1, share.milli);
    if (share.memory_bytes > 0)
      per = std::min(
          per, (empty ? device.memory_bytes : device.free_memory_bytes()) / share.memory_bytes);
    devices += request.count == 1 ? per : std::min<int64_t>(per, 1);
  }
  for (const CountedResource& row : node.counted)
    if (row.resource == request.resource && request.whole() && request.memory_bytes == 0 &&
        (request.models.empty() || std::find(request.models.begin(), request.models.end(),
                                             row.model) != request.models.end()))
      devices += free(row);
  return times(devices, request.count, most);
}

Rejections Feasibility::explain() const {
  Rejections rejections;
  for (const Node& node : state_.nodes()) {
    if (!node.alive) continue;
    ++rejections.total;
    if (const auto no = rejects(node)) ++rejections[*no];
  }
  return rejections;
}

}  // namespace berth::core
