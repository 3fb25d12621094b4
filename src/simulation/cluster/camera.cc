#include "simulation/cluster/camera.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "core/sharing/entitlement.h"

namespace berth::simulation {
namespace {

constexpr size_t kKinds = 32;

}  // namespace

int64_t used_milli(const core::Node& node) {
  int64_t used = 0;
  for (const core::Device& device : node.devices) used += device.used_milli;
  return used;
}

int64_t device_milli(const core::Node& node) {
  return static_cast<int64_t>(node.devices.size()) * 1000;
}

Camera::Camera(const Workload& workload, size_t frames)
    : workload_(workload),
      most_(std::max<size_t>(frames, 2)),
      every_s_(workload.jobs.empty()
                   ? 1
                   : workload.jobs.back().submit.to_seconds() / static_cast<double>(most_)) {
  using Key = std::tuple<int64_t, int64_t, int, int, std::vector<std::string>>;
  std::map<Key, size_t> counts;
  for (const Work& job : workload.jobs) {
    const core::ShapeSpec& shape = job.members.front().shape;
    if (shape.devices.count == 0) continue;
    ++counts[{shape.request.cpu_milli, shape.request.memory_bytes, shape.devices.count,
              shape.devices.milli, shape.devices.models}];
  }
  std::vector<std::pair<size_t, Key>> ordered;
  for (const auto& [key, count] : counts) ordered.emplace_back(count, key);
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  if (ordered.size() > kKinds) ordered.resize(kKinds);
  double sum = 0;
  for (const auto& [count, key] : ordered) sum += static_cast<double>(count);
  for (const auto& [count, key] : ordered) {
    const auto& [cpu, memory, devices, milli, models] = key;
    kinds_.push_back({cpu, memory, devices, milli, models, static_cast<double>(count) / sum});
  }
}

double Camera::fragmented_percent(const core::State& state, int64_t all_milli) const {
  double fragmented = 0;
  for (const core::Node& node : state.nodes()) {
    if (!node.alive || node.devices.empty()) continue;
    const core::Resources free = node.free();
    const std::string model(state.names().text(node.devices.front().model));
    const int64_t idle = device_milli(node) - used_milli(node);
    for (const Kind& kind : kinds_) {
      int fit = 0;
      int64_t too_full = 0;
      for (const core::Device& device : node.devices) {
        const int left = 1000 - device.used_milli;
        if (left >= kind.milli)
          ++fit;
        else
          too_full += left;
      }
      const bool usable = fit >= kind.devices && free.cpu_milli >= kind.cpu_milli &&
                          free.memory_bytes >= kind.memory_bytes &&
                          (kind.models.empty() || std::find(kind.models.begin(), kind.models.end(),
                                                            model) != kind.models.end());
      fragmented += kind.share * static_cast<double>(usable ? too_full : idle);
    }
  }
  return all_milli > 0 ? 100 * fragmented / static_cast<double>(all_milli) : 0;
}

void Camera::look(const core::State& state, double at_s, const std::vector<double>& waits_s) {
  Frame frame;
  frame.at_s = at_s;
  frame.waiting = waits_s.size();
  if (!waits_s.empty())
    frame.mean_wait_s =
        std::accumulate(waits_s.begin(), waits_s.end(), 0.0) / static_cast<double>(waits_s.size());
  int64_t used = 0;
  int64_t all = 0;
  for (const core::NodeUpsert& spec : workload_.nodes) {
    const core::NodeId id = state.find_node(spec.name);
    const bool there = id.valid() && state.node(id).alive;
    const int64_t here = static_cast<int64_t>(spec.devices.size()) * 1000;
    all += here;
    if (!there) {
      frame.nodes += 'x';
      continue;
    }
    const core::Node& node = state.node(id);
    used += used_milli(node);
    const int64_t part = here > 0 ? used_milli(node) : node.used.cpu_milli;
    const int64_t whole = here > 0 ? here : std::max<int64_t>(1, node.capacity.cpu_milli);
    frame.nodes += static_cast<char>('0' + std::min<int64_t>(9, part * 9 / whole));
  }
  frame.allocated_percent =
      all > 0 ? 100 * static_cast<double>(used) / static_cast<double>(all) : 0;
  frame.fragmented_percent = fragmented_percent(state, all);
  const core::Entitlements entitlements(state);
  for (const core::QueueUpsert& spec : workload_.queues) {
    const core::QueueId id = state.find_queue(spec.name);
    if (!id.valid()) {  // it comes later
      frame.queue_gpus.push_back(0);
      continue;
    }
    const core::Queue& queue = state.queue(id);
    frame.queue_gpus.push_back(
        static_cast<double>(core::sum_of(queue.used, core::kAllAccelerators)) / 1000);
    const double fair = entitlements.fair_share(id);
    if (queue.children.empty() && fair > 0)
      frame.fairness = std::min(frame.fairness, entitlements.share(id).dominant() / fair);
  }
  frames_.push_back(std::move(frame));
  next_s_ = at_s + every_s_;
  if (frames_.size() < 2 * most_) return;
  for (size_t i = 0; 2 * i < frames_.size(); ++i) frames_[i] = std::move(frames_[2 * i]);
  frames_.resize((frames_.size() + 1) / 2);
  every_s_ *= 2;
}

}  // namespace berth::simulation
