#include "core/placement/fragmentation.h"

#include <algorithm>

namespace berth::core {

FragmentationMeter::FragmentationMeter(const TypicalMix& mix) : total_(mix.total()) {
  const auto group_of = [this](const Request& r) {
    for (size_t g = 0; g < groups_.size(); ++g) {
      if (groups_[g].devices == r.devices && groups_[g].milli == r.device_milli) return g;
    }
    return groups_.size();
  };
  for (const TypicalMix::Entry& entry : mix.entries()) {
    const Request& r = entry.request;
    if (r.devices > 0 && group_of(r) == groups_.size())
      groups_.push_back({r.devices, r.device_milli});
  }
  tables_.resize(kMaxAccelerators);
  for (size_t model = 0; model < tables_.size(); ++model) {
    Table& table = tables_[model];
    for (const TypicalMix::Entry& entry : mix.entries())
      table.cpu.push_back(entry.request.cpu_milli);
    std::sort(table.cpu.begin(), table.cpu.end());
    table.cpu.erase(std::unique(table.cpu.begin(), table.cpu.end()), table.cpu.end());
    table.counts.assign((table.cpu.size() + 1) * groups_.size(), 0);
    for (const TypicalMix::Entry& entry : mix.entries()) {
      const Request& r = entry.request;
      if (r.devices == 0 || (r.models >> model & 1) == 0) continue;
      for (size_t level = 0; level < table.cpu.size(); ++level) {
        if (r.cpu_milli <= table.cpu[level]) {
          table.counts[(level + 1) * groups_.size() + group_of(r)] +=
              static_cast<int32_t>(entry.count);
        }
      }
    }
  }
}

int64_t FragmentationMeter::fragmented(int model, int64_t cpu_milli,
                                       std::span<const int16_t> left) const {
  int64_t idle = 0;
  for (int16_t free : left) idle += free;
  const Table& table = tables_[static_cast<size_t>(model)];
  const size_t level = static_cast<size_t>(
      std::upper_bound(table.cpu.begin(), table.cpu.end(), cpu_milli) - table.cpu.begin());
  const int32_t* counts = table.counts.data() + level * groups_.size();
  int64_t sum = idle * total_;
  for (size_t g = 0; g < groups_.size(); ++g) {
    if (counts[g] == 0) continue;
    int fitting = 0;
    int64_t usable = 0;
    for (int16_t free : left) {
      const bool fits = free >= groups_[g].milli;
      fitting += fits;
      usable += fits ? free : 0;
    }
    if (fitting >= groups_[g].devices) sum -= counts[g] * usable;
  }
  return sum;
}

}  // namespace berth::core
