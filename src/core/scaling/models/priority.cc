#include "core/scaling/models/priority.h"

#include <limits>

#include "core/scaling/models/markovian.h"

namespace berth::core {
namespace {

constexpr double kForEver = std::numeric_limits<double>::infinity();

double work(const PriorityClass& c) {
  return c.arrivals_per_s * c.service_mean_s;
}

/// Mean remaining service that an arrival finds from this class: lambda E[S^2] / 2.
double residual(const PriorityClass& c) {
  return work(c) * c.service_mean_s * (1 + c.service_cv * c.service_cv) / 2;
}

}  // namespace

std::vector<double> wait_means_nonpreemptive(std::span<const PriorityClass> classes) {
  double found = 0;
  for (const PriorityClass& c : classes) found += residual(c);
  std::vector<double> waits;
  double before = 0;
  for (const PriorityClass& c : classes) {
    const double with = before + work(c);
    waits.push_back(with < 1 ? found / ((1 - before) * (1 - with)) : kForEver);
    before = with;
  }
  return waits;
}

std::vector<double> response_means_preemptive(std::span<const PriorityClass> classes) {
  std::vector<double> responses;
  double before = 0, found = 0;
  for (const PriorityClass& c : classes) {
    const double with = before + work(c);
    found += residual(c);
    responses.push_back(with < 1
                            ? c.service_mean_s / (1 - before) + found / ((1 - before) * (1 - with))
                            : kForEver);
    before = with;
  }
  return responses;
}

std::vector<double> wait_means_nonpreemptive_mmc(std::span<const double> arrivals_per_s,
                                                 double service_mean_s, int servers) {
  double offered = 0;
  for (double rate : arrivals_per_s) offered += rate * service_mean_s;
  const double found = offered < servers ? erlang_c(servers, offered) * service_mean_s / servers
                                         : service_mean_s / servers;
  std::vector<double> waits;
  double before = 0;
  for (double rate : arrivals_per_s) {
    const double with = before + rate * service_mean_s / servers;
    waits.push_back(with < 1 ? found / ((1 - before) * (1 - with)) : kForEver);
    before = with;
  }
  return waits;
}

}  // namespace berth::core
