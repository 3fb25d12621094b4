#include "cli/simulate/report/cluster_report.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "cli/simulate/report/charts.h"
#include "cli/simulate/report/html.h"

namespace berth::cli {
namespace {

using simulation::ClusterResult;
using simulation::Frame;

constexpr size_t kPoints = 120;

/// Characters of node maps in one page, at most.
constexpr size_t kMapBudget = 4'000'000;

using FrameFigure = std::function<double(const Frame&)>;

/// What the figure was at a moment: that of the last frame before it.
double at(const ClusterResult& result, double when_s, const FrameFigure& figure) {
  const auto after =
      std::upper_bound(result.frames.begin(), result.frames.end(), when_s,
                       [](double when, const Frame& frame) { return when < frame.at_s; });
  return after == result.frames.begin() ? 0 : figure(*std::prev(after));
}

double end_of(const std::vector<ClusterOutcome>& outcomes) {
  double end = 1;
  for (const ClusterOutcome& outcome : outcomes)
    for (const auto& [seed, result] : outcome.by_seed) end = std::max(end, result.makespan_s);
  return end;
}

Series series_of(const ClusterOutcome& outcome, std::string name, double end_s,
                 const FrameFigure& figure) {
  Series series{std::move(name), {}, {}, {}};
  for (size_t i = 0; i <= kPoints; ++i) {
    const double when = end_s * static_cast<double>(i) / kPoints;
    double sum = 0, least = 1e300, most = -1e300;
    for (const auto& [seed, result] : outcome.by_seed) {
      const double value = at(result, when, figure);
      sum += value;
      least = std::min(least, value);
      most = std::max(most, value);
    }
    series.line.push_back({when / 3600, sum / static_cast<double>(outcome.by_seed.size())});
    series.least.push_back(least);
    series.most.push_back(most);
  }
  return series;
}

std::string over_time(const std::vector<ClusterOutcome>& outcomes, const std::string& title,
                      const FrameFigure& figure) {
  const double end_s = end_of(outcomes);
  std::vector<Series> all;
  for (const ClusterOutcome& outcome : outcomes)
    all.push_back(series_of(outcome, outcome.policy, end_s, figure));
  return line_chart({"hours since the first job", title}, all);
}

std::string figures_table(const std::vector<ClusterOutcome>& outcomes) {
  std::vector<std::vector<std::string>> rows(1, {""});
  for (const ClusterOutcome& outcome : outcomes) rows[0].push_back(outcome.policy);
  for (const ClusterFigure& figure : cluster_figures()) {
    rows.push_back({std::string(figure.title)});
    for (const ClusterOutcome& outcome : outcomes) {
      const auto [value, half] = mean_of(outcome, figure);
      rows.back().push_back(outcome.by_seed.size() > 1
                                ? fmt::format("{:.4g} ± {:.2g} {}", value, half, figure.unit)
                                : fmt::format("{:.6g} {}", value, figure.unit));
    }
  }
  return html_table(rows);
}

/// Frames of the map, thinned to the budget.
JsonArray map_frames(const ClusterResult& result, size_t most) {
  JsonArray frames;
  const size_t step = std::max<size_t>(1, (result.frames.size() + most - 1) / most);
  for (size_t i = 0; i < result.frames.size(); i += step) {
    const Frame& frame = result.frames[i];
    frames.push_back(JsonArray{frame.at_s, frame.allocated_percent, frame.waiting, frame.nodes});
  }
  return frames;
}

constexpr std::string_view kMapScript = R"js(
const colours = ['#f3f3f3','#dbe9f6','#bfd9ee','#9fc6e4','#7ab0d8','#559acc','#3a83bd','#2469a6','#174f86','#0b3560'];
const pick = document.getElementById('policy'), slide = document.getElementById('moment');
const canvas = document.getElementById('map'), said = document.getElementById('said');
maps.forEach((m, i) => pick.add(new Option(m.policy, i)));
const columns = Math.ceil(Math.sqrt(names.length * 2)), side = Math.max(3, Math.floor(820 / columns));
canvas.width = columns * side; canvas.height = Math.ceil(names.length / columns) * side;
function draw() {
  const frames = maps[pick.value].frames;
  slide.max = frames.length - 1;
  const frame = frames[Math.min(slide.value, frames.length - 1)], pen = canvas.getContext('2d');
  pen.clearRect(0, 0, canvas.width, canvas.height);
  for (let n = 0; n < frame[3].length; n++) {
    pen.fillStyle = frame[3][n] === 'x' ? '#d1495b' : colours[+frame[3][n]];
    pen.fillRect(n % columns * side, Math.floor(n / columns) * side, side - 1, side - 1);
  }
  said.textContent = (frame[0] / 3600).toFixed(2) + ' h: ' + frame[1].toFixed(1) + '% of GPUs allocated, ' + frame[2] + ' jobs wait';
}
canvas.onmousemove = e => {
  const n = Math.floor(e.offsetY * canvas.height / canvas.clientHeight / side) * columns + Math.floor(e.offsetX * canvas.width / canvas.clientWidth / side);
  canvas.title = names[n] || '';
};
pick.onchange = slide.oninput = draw;
draw();
)js";

/// JSON that may stand inside a script element.
std::string for_script(const Json& json) {
  std::string text = boost::json::serialize(json);
  for (size_t at = 0; (at = text.find('<', at)) != std::string::npos;)
    text.replace(at, 1, "\\u003c");
  return text;
}

std::string node_map(const simulation::Workload& workload,
                     const std::vector<ClusterOutcome>& outcomes) {
  const size_t most = std::clamp<size_t>(
      kMapBudget / std::max<size_t>(1, workload.nodes.size() * outcomes.size()), 2, 400);
  JsonArray maps;
  for (const ClusterOutcome& outcome : outcomes)
    maps.push_back(JsonObject{{"policy", outcome.policy},
                              {"frames", map_frames(outcome.by_seed.front().second, most)}});
  JsonArray names;
  for (const core::NodeUpsert& node : workload.nodes) names.emplace_back(node.name);
  return fmt::format(
      "<p><select id=\"policy\"></select> <input id=\"moment\" type=\"range\" min=\"0\" "
      "value=\"0\" "
      "style=\"width:60%\"> <span id=\"said\"></span></p>\n"
      "<canvas id=\"map\" style=\"max-width:100%\"></canvas>\n"
      "<script>const names = {};\nconst maps = {};\n{}</script>\n",
      for_script(names), for_script(maps), kMapScript);
}

std::string queue_shares(const simulation::Workload& workload, const ClusterOutcome& outcome) {
  constexpr size_t kMostQueues = 8;
  std::vector<Series> all;
  for (size_t q = 0; q < workload.queues.size() && all.size() < kMostQueues; ++q)
    all.push_back(series_of(outcome, workload.queues[q].name, end_of({outcome}),
                            [q](const Frame& frame) { return frame.queue_gpus[q]; }));
  return line_chart({"hours since the first job", "GPUs"}, all);
}

}  // namespace

std::string cluster_report(const simulation::Workload& workload,
                           const std::vector<ClusterOutcome>& outcomes, const std::string& note) {
  std::vector<Section> sections = {
      {"Figures",
       fmt::format("{} nodes, {} jobs; the mean of {} seeds and the 95% interval of the mean. {}",
                   workload.nodes.size(), workload.jobs.size(), outcomes.back().by_seed.size(),
                   note),
       figures_table(outcomes)},
      {"Allocation", "How many of all GPUs are in use.",
       over_time(outcomes, "% of GPUs", [](const Frame& f) { return f.allocated_percent; })},
      {"Fragmentation",
       "GPUs that idle where the jobs of this trace cannot use them: too few on the node, too "
       "little "
       "CPU or memory beside them, or the wrong model.",
       over_time(outcomes, "% of GPUs", [](const Frame& f) { return f.fragmented_percent; })},
      {"Waiting", "Jobs that have not started yet.",
       over_time(outcomes, "jobs", [](const Frame& f) { return static_cast<double>(f.waiting); })},
      {"How long they wait", "Mean wait so far of the jobs that wait.",
       over_time(outcomes, "hours", [](const Frame& f) { return f.mean_wait_s / 3600; })},
      {"Fairness", "What the queue that is worst off has of its fair share; 1: nobody is short.",
       over_time(outcomes, "share", [](const Frame& f) { return f.fairness; })},
      {"Queues", fmt::format("GPUs of each queue under {}.", outcomes.front().policy),
       queue_shares(workload, outcomes.front())},
      {"Nodes", "A square a node: the darker, the more of its GPUs are in use; red: failed. Drag.",
       node_map(workload, outcomes)}};
  return html_page("Berth: a simulated cluster", sections);
}

}  // namespace berth::cli
