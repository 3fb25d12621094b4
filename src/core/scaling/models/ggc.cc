#include "core/scaling/models/ggc.h"

#include <algorithm>
#include <cmath>

#include "core/scaling/models/gmc.h"
#include "core/scaling/models/markovian.h"
#include "core/scaling/models/random_walk.h"

namespace berth::core {
namespace {

bool near(double a, double b) {
  return std::abs(a - b) < 1e-9;
}

}  // namespace

QueueMethod method_for(const QueueLoad& load) {
  if (near(load.arrival_cv, 1) && near(load.service_cv, 1)) return QueueMethod::kMarkovian;
  if (load.servers == 1 || near(load.service_cv, 0)) return QueueMethod::kRandomWalk;
  return QueueMethod::kInterpolated;
}

Wait wait_ggc(const QueueLoad& load) {
  switch (method_for(load)) {
    case QueueMethod::kMarkovian:
      return wait_mmc(load);
    case QueueMethod::kRandomWalk:
      return load.servers == 1 ? wait_gg1(load) : wait_gdc(load);
    case QueueMethod::kInterpolated:
      break;
  }
  const Wait constant = wait_gdc(load), exponential = wait_gmc(load);
  if (near(load.service_cv, 1)) return exponential;

  // One server of the same total speed is solved exactly; how far its property has moved from
  // constant to exponential service is how far that of c servers has.
  QueueLoad one = load;
  one.servers = 1;
  one.service_mean_s = load.service_mean_s / load.servers;
  const Wait one_actual = wait_gg1(one);
  one.service_cv = 0;
  const Wait one_constant = wait_gg1(one);
  one.service_cv = 1;
  const Wait one_exponential = wait_gg1(one);
  const double v = load.service_cv * load.service_cv;
  const auto between = [&](auto property) {
    const double from = property(one_constant), to = property(one_exponential);
    const double moved =
        std::abs(to - from) < 1e-6 ? 2 * v / (1 + v) : (property(one_actual) - from) / (to - from);
    return property(constant) + moved * (property(exponential) - property(constant));
  };
  const double floor = 1e-12;
  const double probability =
      std::clamp(between([](const Wait& w) { return w.probability(); }), floor, 1.0);
  const double mean = std::max(between([](const Wait& w) { return w.mean_s(); }), floor);
  const double cv = std::max(between([](const Wait& w) { return w.conditional_cv(); }), 0.0);
  return {probability, mean / probability, cv};
}

double wait_mean_allen_cunneen(const QueueLoad& load) {
  return wait_mmc(load).mean_s() *
         (load.arrival_cv * load.arrival_cv + load.service_cv * load.service_cv) / 2;
}

}  // namespace berth::core
