#pragma once

namespace berth::simulation {

/// A number that changes at moments, averaged over windows of time.
class TimeAverage {
 public:
  void change(double now_s, double by) {
    area_ += value_ * (now_s - since_s_);
    since_s_ = now_s;
    value_ += by;
  }
  /// The mean since it was last asked.
  double take(double now_s, double window_s) {
    change(now_s, 0);
    const double mean = area_ / window_s;
    area_ = 0;
    return mean;
  }

 private:
  double value_ = 0, since_s_ = 0, area_ = 0;
};

}  // namespace berth::simulation
