#include "controllers/scaling/vertical/use_history.h"

#include <utility>

namespace berth::controllers {

void UseHistory::add(const std::vector<PodUse>& pods) {
  std::map<std::string, Containers> before = std::exchange(pods_, {});
  for (const PodUse& pod : pods) {
    Containers& containers = pods_[pod.uid] = std::move(before[pod.uid]);
    for (const auto& [name, sample] : pod.containers) {
      std::vector<core::SizeSample>& samples = containers[name];
      // The newest sample is told until there is a newer one.
      if (!samples.empty() && samples.back().at >= sample.at) continue;
      std::erase_if(samples, [at = sample.at](const core::SizeSample& old) {
        return old.at < at - kLongest;
      });
      samples.push_back(sample);
    }
  }
}

std::vector<core::SizeSample> UseHistory::of(const std::string& uid, const std::string& container,
                                             Time since) const {
  std::vector<core::SizeSample> result;
  const auto pod = pods_.find(uid);
  if (pod == pods_.end()) return result;
  const auto samples = pod->second.find(container);
  if (samples == pod->second.end()) return result;
  for (const core::SizeSample& sample : samples->second)
    if (sample.at - sample.window >= since) result.push_back(sample);
  return result;
}

}  // namespace berth::controllers
