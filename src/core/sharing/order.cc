#include "core/sharing/order.h"

#include <algorithm>
#include <tuple>

namespace berth::core {

bool serves_before(const Gang& a, const Gang& b) {
  if (a.priority != b.priority) return a.priority > b.priority;
  if (a.is_growth() != b.is_growth()) return b.is_growth();
  if (a.growth_micro != b.growth_micro) return a.growth_micro > b.growth_micro;
  if (a.created != b.created) return a.created < b.created;
  return a.name < b.name;
}

ServiceOrder::ServiceOrder(const State& state, const Entitlements& entitlements,
                           const std::vector<GangId>& gangs)
    : state_(state), entitlements_(entitlements), lines_(state.queues().size()) {
  for (GangId gang : gangs) lines_[state.gang(gang).queue.index()].gangs.push_back(gang);
  for (size_t i = 0; i < lines_.size(); ++i) {
    std::vector<GangId>& line = lines_[i].gangs;
    std::sort(line.begin(), line.end(),
              [&](GangId a, GangId b) { return serves_before(state.gang(a), state.gang(b)); });
    const auto minimums = static_cast<size_t>(std::count_if(
        line.begin(), line.end(), [&](GangId gang) { return !state.gang(gang).is_growth(); }));
    for (QueueId at{static_cast<uint32_t>(i)}; at.valid() && !line.empty();
         at = state.queue(at).parent) {
      lines_[at.index()].left += line.size();
      lines_[at.index()].left_minimums += minimums;
    }
    const Queue& queue = state.queues()[i];
    if (queue.alive && !queue.parent.valid()) roots_.push_back(QueueId{static_cast<uint32_t>(i)});
  }
}

/// Any gang of the subtree whose turn is next there: enough to know what it asks for.
GangId ServiceOrder::head(QueueId id) const {
  for (;;) {
    const Line& line = lines_[id.index()];
    if (line.at < line.gangs.size()) return line.gangs[line.at];
    for (QueueId child : state_.queue(id).children)
      if (lines_[child.index()].left > 0) {
        id = child;
        break;
      }
  }
}

/// Nothing is left there but growth, and the queue could not take back what the next of it needs.
bool ServiceOrder::is_late_growth(QueueId id) const {
  return lines_[id.index()].left_minimums == 0 &&
         entitlements_.best_standing(id, state_.gang(head(id)).tasks) ==
             Entitlements::Standing::kNone;
}

QueueId ServiceOrder::choose(std::span<const QueueId> siblings) const {
  QueueId best;
  std::tuple<bool, bool, double, double> best_key;
  for (QueueId id : siblings) {
    if (lines_[id.index()].left == 0) continue;
    const Queue& queue = state_.queue(id);
    const Gang& gang = state_.gang(head(id));
    const std::optional<double> ratio =
        entitlements_.guarantee_ratio(id, state_.shape_of(gang.tasks.front()));
    const bool guaranteed = ratio && *ratio < 1;
    const double first =
        guaranteed ? *ratio : entitlements_.share(id).dominant() / entitlements_.weight(id);
    // Of those that have nothing now, whoever used less before.
    const bool past = state_.policy().usage_half_life.ns > 0;
    const double before =
        past ? static_cast<double>(queue.decayed) / static_cast<double>(queue.weight_milli) : 0;
    const std::tuple key(is_late_growth(id), !guaranteed, first, before);
    if (!best.valid() || key < best_key ||
        (key == best_key && queue.name < state_.queue(best).name)) {
      best = id;
      best_key = key;
    }
  }
  return best;
}

std::optional<GangId> ServiceOrder::next() {
  QueueId at = choose(roots_);
  if (!at.valid()) return std::nullopt;
  while (lines_[at.index()].gangs.empty()) at = choose(state_.queue(at).children);
  Line& line = lines_[at.index()];
  const GangId next = line.gangs[line.at++];
  const size_t minimums = state_.gang(next).is_growth() ? 0 : 1;
  for (; at.valid(); at = state_.queue(at).parent) {
    --lines_[at.index()].left;
    lines_[at.index()].left_minimums -= minimums;
  }
  return next;
}

}  // namespace berth::core
