#include "cli/plan_chart.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace berth::cli {
namespace {

/// The largest time worth drawing: the slowest size, but no more than four times the bound, which
/// would otherwise be squeezed against the axis.
double drawn_range(const std::vector<core::QueueForecast>& rows,
                   const core::LatencyObjective& objective) {
  double slowest = 0;
  for (const auto& row : rows)
    if (row.stable) slowest = std::max(slowest, row.objective_s);
  if (std::isfinite(objective.bound_s))
    slowest = std::max(objective.bound_s * 1.1, std::min(slowest, objective.bound_s * 4));
  return std::max(slowest, 1e-9);
}

}  // namespace

std::string plan_bars(const std::vector<core::QueueForecast>& rows,
                      const core::LatencyObjective& objective) {
  constexpr int kWidth = 56;
  const double range = drawn_range(rows, objective);
  const auto column = [&](double s) {
    return static_cast<int>(std::lround(std::min(s / range, 1.0) * kWidth));
  };
  std::string text;
  for (const auto& row : rows) {
    const int length = row.stable ? column(row.objective_s) : kWidth;
    std::string line(static_cast<size_t>(length), '#');
    line.resize(kWidth + 1, ' ');
    if (std::isfinite(objective.bound_s))
      line[static_cast<size_t>(column(objective.bound_s))] = '|';
    const bool beyond = !row.stable || row.objective_s > range;
    text += fmt::format("  {:>7} {}{}\n", row.servers, line, beyond ? ">" : "");
  }
  return text;
}

std::string plan_svg(const std::vector<core::QueueForecast>& rows,
                     const core::LatencyObjective& objective, int answer) {
  constexpr double kWidth = 640, kHeight = 360, kLeft = 60, kBottom = 40, kTop = 20, kRight = 20;
  const double range = drawn_range(rows, objective);
  const double bar_space = (kWidth - kLeft - kRight) / static_cast<double>(rows.size());
  const auto y_of = [&](double s) {
    return kHeight - kBottom - std::min(s / range, 1.0) * (kHeight - kBottom - kTop);
  };
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      kWidth, kHeight);
  for (int tick = 0; tick <= 4; ++tick) {
    const double at = range * tick / 4;
    svg += fmt::format(
        "<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#ddd\"/>"
        "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.3g} s</text>\n",
        kLeft, kWidth - kRight, y_of(at), y_of(at), kLeft - 6, y_of(at) + 4, at);
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    const double x = kLeft + bar_space * (static_cast<double>(i) + 0.15);
    const double top = row.stable ? y_of(row.objective_s) : kTop;
    svg += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"/>"
        "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
        x, top, bar_space * 0.7, kHeight - kBottom - top,
        !row.stable             ? "#bbb"
        : row.servers >= answer ? "#2a7"
                                : "#c63",
        x + bar_space * 0.35, kHeight - kBottom + 16, row.servers);
  }
  if (std::isfinite(objective.bound_s))
    svg += fmt::format(
        "<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"black\" "
        "stroke-dasharray=\"6 4\"/>\n",
        kLeft, kWidth - kRight, y_of(objective.bound_s), y_of(objective.bound_s));
  svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">servers</text>\n</svg>\n",
                     kWidth / 2, kHeight - 6);
  return svg;
}

}  // namespace berth::cli
