#include "cli/simulate/report/fleet_report.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "cli/simulate/report/charts.h"
#include "cli/simulate/report/html.h"
#include "simulation/confidence.h"

namespace berth::cli {
namespace {

using simulation::FleetOutcome;

MeanOverSeeds summarise(const std::vector<double>& values) {
  if (values.empty()) return {};
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  return {sum / static_cast<double>(values.size()), simulation::confidence_95(values)};
}

std::vector<Point> by_minute(const std::vector<double>& values) {
  // A week has ten thousand minutes: no plot shows more than some hundred.
  const size_t step = std::max<size_t>(1, values.size() / 400);
  std::vector<Point> points;
  for (size_t i = 0; i + step <= values.size(); i += step) {
    double sum = 0;
    for (size_t j = i; j < i + step; ++j) sum += values[j];
    points.push_back({static_cast<double>(i), sum / static_cast<double>(step)});
  }
  return points;
}

std::string with_interval(const MeanOverSeeds& figure, int digits) {
  return figure.half_width > 0
             ? fmt::format("{:.{}f} ± {:.{}f}", figure.mean, digits, figure.half_width, digits)
             : fmt::format("{:.{}f}", figure.mean, digits);
}

}  // namespace

MeanOverSeeds over_seeds(const std::vector<FleetOutcome>& outcomes,
                         double (*figure)(const FleetOutcome&)) {
  std::vector<double> values;
  for (const FleetOutcome& outcome : outcomes) values.push_back(figure(outcome));
  return summarise(values);
}

MeanOverSeeds over_oracle(const simulation::ContenderResult& contender) {
  std::vector<double> ratios;
  for (size_t i = 0; i < contender.oracle.size(); ++i)
    if (contender.oracle[i].device_s > 0)
      ratios.push_back(contender.by_seed[i].device_s / contender.oracle[i].device_s);
  return summarise(ratios);
}

std::string fleet_report(const std::string& title, const core::ServingObjective& objective,
                         double price_per_hour, const simulation::Comparison& comparison) {
  std::vector<std::vector<std::string>> table = {{"policy", "inside, %", "device-hours",
                                                  "over the oracle", "inside per device-hour",
                                                  "cold starts", "p95 TTFT, s", "p95 TPOT, ms"}};
  if (price_per_hour > 0) table[0].push_back("cost");
  std::vector<Series> replicas, misses, front;
  for (const simulation::ContenderResult& each : comparison.contenders) {
    const auto mean = [&](double (*figure)(const FleetOutcome&)) {
      return over_seeds(each.by_seed, figure);
    };
    const auto inside = mean([](const FleetOutcome& o) { return 100 * o.attainment(); });
    const auto hours = mean([](const FleetOutcome& o) { return o.device_hours(); });
    table.push_back(
        {each.name, with_interval(inside, 2), with_interval(hours, 2),
         each.oracle.empty() ? "" : with_interval(over_oracle(each), 3),
         with_interval(mean([](const FleetOutcome& o) { return o.goodput(); }), 0),
         with_interval(
             mean([](const FleetOutcome& o) { return 1.0 * static_cast<double>(o.cold_starts); }),
             0),
         with_interval(mean([](const FleetOutcome& o) { return o.ttft_p95_s; }), 2),
         with_interval(mean([](const FleetOutcome& o) { return 1e3 * o.tpot_p95_s; }), 1)});
    if (price_per_hour > 0)
      table.back().push_back(fmt::format("{:.2f}", hours.mean * price_per_hour));
    const FleetOutcome& first = each.by_seed.at(0);
    replicas.push_back({each.name, by_minute(first.replicas_by_minute), {}, {}});
    const std::vector<double> missed(first.misses_by_minute.begin(), first.misses_by_minute.end());
    misses.push_back({each.name, by_minute(missed), {}, {}});
    front.push_back({each.name, {{hours.mean, inside.mean}}, {}, {}});
  }
  if (!comparison.static_peak.empty()) {
    const auto& peak = comparison.static_peak;
    const auto inside =
        over_seeds(peak, [](const FleetOutcome& o) { return 100 * o.attainment(); });
    const auto hours = over_seeds(peak, [](const FleetOutcome& o) { return o.device_hours(); });
    table.push_back({"static peak", with_interval(inside, 2), with_interval(hours, 2)});
    table.back().resize(table[0].size());
    front.push_back({"static peak", {{hours.mean, inside.mean}}, {}, {}});
    const auto& oracle = comparison.contenders[0].oracle;
    replicas.push_back({"oracle", by_minute(oracle[0].replicas_by_minute), {}, {}});
  }
  const FleetOutcome& first = comparison.contenders.at(0).by_seed.at(0);
  return html_page(
      title,
      {{"Figures",
        fmt::format(
            "Inside: first token within {:.6g} s and {:.6g} ms a token on average{}; {:.6g}% "
            "are asked for, and refused counts as outside. The oracle knows the future, "
            "orders whole replicas a cold start ahead and misses as much. Means over {} "
            "seed(s) with 95% intervals.",
            objective.ttft_s, 1e3 * objective.tpot_s,
            objective.latency_s > 0
                ? fmt::format(", the last token within {:.6g} s", objective.latency_s)
                : "",
            100 * objective.attainment, comparison.contenders[0].by_seed.size()),
        html_table(table)},
       {"Attainment and cost", "Better towards the upper left.",
        scatter_chart({"Device-hours", "Requests inside, %"}, front)},
       {"Arrivals", "The first seed's workload, by minute.",
        line_chart({"Minute", "Requests"},
                   {{"arrivals", by_minute(first.arrivals_by_minute), {}, {}}})},
       {"Replicas", "Held, from order to gone: loading and draining are paid for.",
        line_chart({"Minute", "Replicas"}, replicas)},
       {"Requests outside", "By the minute in which they came.",
        line_chart({"Minute", "Requests"}, misses)}});
}

}  // namespace berth::cli
