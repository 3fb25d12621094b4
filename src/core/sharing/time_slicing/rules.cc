#include "core/sharing/time_slicing/rules.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace berth::core {
namespace {

/// A rule that is an order: `key(view, job)` ascending, then arrival, then id.
template <class Key>
class OrderSlicer final : public TimeSlicer {
 public:
  explicit OrderSlicer(Key key) : key_(key) {}

  std::vector<size_t> choose(const SliceView& view) override {
    std::vector<SliceKey> keys;
    for (const SliceJob& job : view.jobs) keys.push_back({0, key_(view, job)});
    return fill_in_order(view, order_by(view, keys));
  }

 private:
  Key key_;
};

template <class Key>
std::unique_ptr<TimeSlicer> ordered_by(Key key) {
  return std::make_unique<OrderSlicer<Key>>(key);
}

}  // namespace

std::vector<size_t> order_by(const SliceView& view, std::span<const SliceKey> keys) {
  std::vector<size_t> order(view.jobs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const SliceJob& x = view.jobs[a];
    const SliceJob& y = view.jobs[b];
    return std::tie(keys[a].tier, keys[a].value, x.arrived_s, x.id) <
           std::tie(keys[b].tier, keys[b].value, y.arrived_s, y.id);
  });
  return order;
}

double remaining_s(const SliceView& view, const SliceJob& job) {
  return std::max(job.estimate_s.value_or(0) - job.attained_s, view.round_s / 2);
}

std::vector<size_t> fill_in_order(const SliceView& view, std::span<const size_t> order) {
  std::vector<size_t> chosen;
  int free = view.devices;
  for (size_t i : order) {
    if (view.jobs[i].devices > free) continue;
    free -= view.jobs[i].devices;
    chosen.push_back(i);
  }
  return chosen;
}

std::unique_ptr<TimeSlicer> make_fifo_slicer() {
  return ordered_by([](const SliceView&, const SliceJob& job) { return job.arrived_s; });
}

std::unique_ptr<TimeSlicer> make_las_slicer() {
  return ordered_by([](const SliceView&, const SliceJob& job) { return job.attained_s; });
}

std::unique_ptr<TimeSlicer> make_srtf_slicer() {
  return ordered_by(
      [](const SliceView& view, const SliceJob& job) { return remaining_s(view, job); });
}

std::unique_ptr<TimeSlicer> make_longest_slicer() {
  return ordered_by(
      [](const SliceView& view, const SliceJob& job) { return -remaining_s(view, job); });
}

}  // namespace berth::core
