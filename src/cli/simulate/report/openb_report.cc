#include "cli/simulate/report/openb_report.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/simulate/report/charts.h"
#include "cli/simulate/report/html.h"

namespace berth::cli {
namespace {

std::vector<Series> series_of(const std::vector<OpenbCurves>& curves,
                              double simulation::OpenbPoint::* figure, int from_percent) {
  std::vector<Series> all;
  for (const OpenbCurves& policy : curves) {
    Series series{policy.policy, {}, {}, {}};
    for (size_t i = 0; i < policy.by_seed.at(0).size(); ++i) {
      const int arrived = policy.by_seed[0][i].arrived_percent;
      if (arrived < from_percent) continue;
      double sum = 0, least = 1e300, most = -1e300;
      for (const auto& curve : policy.by_seed) {
        const double value = curve[i].*figure;
        sum += value;
        least = std::min(least, value);
        most = std::max(most, value);
      }
      series.line.push_back(
          {static_cast<double>(arrived), sum / static_cast<double>(policy.by_seed.size())});
      series.least.push_back(least);
      series.most.push_back(most);
    }
    all.push_back(std::move(series));
  }
  return all;
}

std::string figures_table(const JsonArray& policies) {
  struct Column {
    std::string_view title, figure;
  };
  constexpr Column kColumns[] = {{"allocated at 100%", "allocated_percent_at_100"},
                                 {"allocated at 130%", "allocated_percent_at_130"},
                                 {"fragmented at 95%", "fragmented_percent_at_95"},
                                 {"upper bound", "upper_bound_percent"},
                                 {"share of the bound", "share_of_bound_percent"}};
  std::vector<std::vector<std::string>> rows(1, {"policy"});
  for (const Json& entry : policies) {
    const JsonObject& policy = entry.as_object();
    const JsonObject& mean = policy.at("mean").as_object();
    const JsonObject& width = policy.at("confidence_95").as_object();
    rows.push_back({std::string(policy.at("policy").as_string())});
    for (const Column& column : kColumns) {
      if (!mean.contains(column.figure)) continue;
      if (rows.size() == 2) rows[0].emplace_back(column.title);
      rows.back().push_back(fmt::format("{:.2f} ± {:.2f}%",
                                        mean.at(column.figure).to_number<double>(),
                                        width.at(column.figure).to_number<double>()));
    }
  }
  return html_table(rows);
}

}  // namespace

std::string openb_report(const std::string& trace, const JsonArray& policies,
                         const std::vector<OpenbCurves>& curves) {
  constexpr auto kAllocated = &simulation::OpenbPoint::allocated_percent;
  constexpr auto kFragmented = &simulation::OpenbPoint::fragmented_percent;
  const Axes allocated{"GPUs asked for by pods that arrived, % of all", "GPUs allocated, %"};
  const Axes fragmented{"GPUs asked for by pods that arrived, % of all", "GPUs fragmented, %"};
  return html_page(
      "Placement: " + trace,
      {{"Figures",
        "Pods arrive one by one and stay; a policy chooses node and devices for each. More "
        "allocated is better. Means over the seeds, with 95% confidence intervals.",
        figures_table(policies)},
       {"Allocation", "Lines are means over the seeds, bands reach from the least to the most.",
        line_chart(allocated, series_of(curves, kAllocated, 1))},
       {"Allocation when the cluster is nearly full", "The same from 80% arrived.",
        line_chart(allocated, series_of(curves, kAllocated, 80))},
       {"Fragmentation",
        "Idle GPUs that a pod of the trace's mix could not use where they are. Less is better.",
        line_chart(fragmented, series_of(curves, kFragmented, 1))}});
}

}  // namespace berth::cli
