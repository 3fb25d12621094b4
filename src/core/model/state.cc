#include "core/model/state.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/model/undo.h"

namespace berth::core {
State::State() = default;
State::~State() = default;
State::State(const State&) = default;
State& State::operator=(const State&) = default;
State::State(State&&) noexcept = default;
State& State::operator=(State&&) noexcept = default;

void State::apply(const Event& event) {
  std::visit([this](const auto& e) { on(e); }, event);
}

NodeId State::find_node(std::string_view name) const {
  return node_ids_.find(name, [this](NodeId id) -> std::string_view { return node(id).name; });
}
TaskId State::find_task(std::string_view name) const {
  return task_ids_.find(name, [this](TaskId id) -> std::string_view { return task(id).name; });
}
GangId State::find_gang(std::string_view name) const {
  return gang_ids_.find(name, [this](GangId id) -> std::string_view { return gang(id).name; });
}
QueueId State::find_queue(std::string_view name) const {
  return queue_ids_.find(name, [this](QueueId id) -> std::string_view { return queue(id).name; });
}

void State::on(const DisruptionBudgetUpsert& event) {
  on(DisruptionBudgetRemove{event.name});
  const auto at =
      std::lower_bound(disruption_budgets_.begin(), disruption_budgets_.end(), event.name,
                       [](const DisruptionBudget& b, const std::string& n) { return b.name < n; });
  disruption_budgets_.insert(at, {event.name, names_.intern(event.ns),
                                  core::intern(event.selector, names_), event.allowed});
}

void State::on(const DisruptionBudgetRemove& event) {
  std::erase_if(disruption_budgets_,
                [&](const DisruptionBudget& budget) { return budget.name == event.name; });
}

ShapeId State::intern(const ShapeSpec& spec) {
  Shape shape = core::intern(spec, names_);
  const uint64_t hash = hash_of(shape, names_);
  for (auto [at, end] = shape_ids_.equal_range(hash); at != end; ++at)
    if (shapes_[at->second.index()] == shape) return at->second;
  const ShapeId id{static_cast<uint32_t>(shapes_.size())};
  shapes_.push_back(std::move(shape));
  tasks_of_shape_.push_back(0);
  shape_ids_.emplace(hash, id);
  return id;
}

std::vector<GangId> State::open_gangs() const {
  std::vector<GangId> open;
  for (size_t word = 0; word < open_gangs_.size(); ++word)
    for (uint64_t bits = open_gangs_[word]; bits != 0; bits &= bits - 1)
      open.push_back(
          GangId{static_cast<uint32_t>(word * 64) + static_cast<uint32_t>(std::countr_zero(bits))});
  return open;
}

std::span<const Label> State::labels(LabelSetId id) const {
  return id.valid() ? std::span<const Label>(label_sets_[id.index()]) : std::span<const Label>();
}

LabelSetId State::intern_labels(std::span<const std::pair<std::string, std::string>> labels) {
  if (labels.empty()) return {};
  std::vector<Label> set;
  uint64_t hash = 0;
  for (const auto& [key, value] : labels) {
    set.push_back({names_.intern(key), names_.intern(value)});
    hash += Hash().add(key).add(value).value();
  }
  std::sort(set.begin(), set.end());
  for (auto [at, end] = label_set_ids_.equal_range(hash); at != end; ++at)
    if (label_sets_[at->second.index()] == set) return at->second;
  const LabelSetId id{static_cast<uint32_t>(label_sets_.size())};
  label_sets_.push_back(std::move(set));
  label_set_ids_.emplace(hash, id);
  return id;
}

AcceleratorId State::accelerator(NameId model, NameId resource) {
  const NameId name = model.valid() ? model : resource;
  for (size_t i = 0; i < accelerators_.size(); ++i)
    if (accelerators_[i].name == name && accelerators_[i].resource == resource)
      return AcceleratorId{static_cast<uint8_t>(i)};
  if (accelerators_.size() == kMaxAccelerators) return AcceleratorId{kMaxAccelerators - 1};
  accelerators_.push_back({name, resource});
  accelerators_.back().weight_milli = weight_of(accelerators_.back());
  refresh_masks();
  return AcceleratorId{static_cast<uint8_t>(accelerators_.size() - 1)};
}

std::optional<DurationBelief> State::duration_of(const Task& task) const {
  if (task.expected_duration.ns > 0)
    return DurationBelief{std::log(task.expected_duration.to_seconds()), 0, 0};
  if (!task.owner.valid()) return std::nullopt;
  return learned_belief(durations_.of(names_.text(task.owner)));
}

PlaceSpec State::spell(const Placement& placement) const {
  const Node& at = node(placement.node);
  PlaceSpec spec{task(placement.task).name, at.name, {}};
  for_each_device(placement.devices, [&](size_t device) {
    spec.devices.emplace_back(names_.text(at.devices[device].id));
  });
  return spec;
}

std::optional<Placement> State::resolve(const PlaceSpec& place) const {
  Placement placement{find_task(place.task), find_node(place.node), 0};
  if (!placement.task.valid() || !placement.node.valid()) return std::nullopt;
  const Node& at = node(placement.node);
  const NameId resource = shape_of(placement.task).devices.resource;
  for (const std::string& id : place.devices) {
    const NameId name = names_.find(id);
    const auto found = std::find_if(at.devices.begin(), at.devices.end(), [&](const Device& d) {
      return d.id == name && d.resource == resource;
    });
    if (found == at.devices.end()) return std::nullopt;
    placement.devices |= device_bit(static_cast<size_t>(found - at.devices.begin()));
  }
  return placement;
}

void State::touch(NodeId id) {
  // The log stays a small multiple of the nodes; whoever looks more rarely looks at all of them.
  if (changes_.size() > std::max<size_t>(4096, 8 * nodes_.size())) {
    const size_t drop = changes_.size() / 2;
    changes_.erase(changes_.begin(), changes_.begin() + static_cast<ptrdiff_t>(drop));
    change_base_ += drop;
  }
  changes_.push_back(id);
  nodes_[id.index()].version = change_cursor();
}

}  // namespace berth::core
