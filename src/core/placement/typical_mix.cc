#include "core/placement/typical_mix.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace berth::core {

TypicalMix TypicalMix::of(std::span<const Request> seen, int share_percent) {
  std::map<Request, int64_t> counts;
  for (Request request : seen) {
    request.memory_bytes = 0;
    ++counts[request];
  }
  std::vector<Entry> all;
  all.reserve(counts.size());
  for (const auto& [request, count] : counts) all.push_back({request, count});
  std::stable_sort(all.begin(), all.end(), [](const Entry& a, const Entry& b) {
    const auto key = [](const Entry& e) {
      return std::tuple(e.count, e.request.cpu_milli, e.request.device_milli, e.request.devices,
                        e.request.filter, e.request.models);
    };
    return key(a) > key(b);
  });
  TypicalMix mix;
  const int64_t total = static_cast<int64_t>(seen.size());
  for (const Entry& entry : all) {
    if (mix.total_ * 100 >= total * share_percent) break;
    mix.entries_.push_back(entry);
    mix.total_ += entry.count;
  }
  return mix;
}

}  // namespace berth::core
