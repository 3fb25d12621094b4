#include "cli/simulate/report/charts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "cli/simulate/report/html.h"

namespace berth::cli {
namespace {

constexpr double kWidth = 760, kHeight = 360, kLeft = 70, kRight = 150, kTop = 16, kBottom = 46;
constexpr std::array kColours = {"#1b6ca8", "#d1495b", "#2e933c", "#8a5cb8",
                                 "#e08e0b", "#00798c", "#7a5230", "#5c5c5c"};

std::string colour(size_t i) {
  return kColours[i % kColours.size()];
}

struct Scale {
  double low = 0, high = 1, from = 0, to = 1;
  double at(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

/// Bounds on round numbers, so that five steps between them read well.
Scale scale_over(double low, double high, double from, double to) {
  if (!(high > low)) high = low + 1;
  const double rough = (high - low) / 5;
  const double magnitude = std::pow(10, std::floor(std::log10(rough)));
  double step = magnitude;
  for (const double factor : {1.0, 2.0, 2.5, 5.0, 10.0}) {
    step = magnitude * factor;
    if (step >= rough) break;
  }
  return {std::floor(low / step) * step, std::ceil(high / step) * step, from, to};
}

struct Frame {
  Scale x, y;
};

Frame frame_of(const std::vector<Series>& series) {
  double x0 = 1e300, x1 = -1e300, y0 = 1e300, y1 = -1e300;
  for (const Series& each : series) {
    for (const Point& point : each.line) {
      x0 = std::min(x0, point.x), x1 = std::max(x1, point.x);
      y0 = std::min(y0, point.y), y1 = std::max(y1, point.y);
    }
    for (double value : each.least) y0 = std::min(y0, value);
    for (double value : each.most) y1 = std::max(y1, value);
  }
  return {scale_over(x0, x1, kLeft, kWidth - kRight), scale_over(y0, y1, kHeight - kBottom, kTop)};
}

std::string begin_svg(double height) {
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\">\n", kWidth, height);
}

std::string grid(const Frame& frame, const Axes& axes) {
  std::string svg;
  for (int tick = 0; tick <= 5; ++tick) {
    const double x = frame.x.low + (frame.x.high - frame.x.low) * tick / 5;
    const double y = frame.y.low + (frame.y.high - frame.y.low) * tick / 5;
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.6g}</text>"
        "<text x=\"{6:.1f}\" y=\"{7}\" text-anchor=\"middle\">{8:.6g}</text>\n",
        kLeft, kWidth - kRight, frame.y.at(y), kLeft - 6, frame.y.at(y) + 4, y, frame.x.at(x),
        kHeight - kBottom + 16, x);
  }
  svg += fmt::format(
      "<text x=\"{0:.0f}\" y=\"{1}\" text-anchor=\"middle\">{2}</text>"
      "<text transform=\"translate(14,{3:.0f}) rotate(-90)\" text-anchor=\"middle\">{4}</text>\n",
      (kLeft + kWidth - kRight) / 2, kHeight - 8, html_escape(axes.x_title), kHeight / 2,
      html_escape(axes.y_title));
  return svg;
}

}  // namespace

std::string line_chart(const Axes& axes, const std::vector<Series>& series) {
  const Frame frame = frame_of(series);
  std::string svg = begin_svg(kHeight) + grid(frame, axes);
  for (size_t i = 0; i < series.size(); ++i) {
    const Series& each = series[i];
    const auto spot = [&](double x, double y) {
      return fmt::format("{:.1f},{:.1f} ", frame.x.at(x), frame.y.at(y));
    };
    if (!each.least.empty()) {
      std::string outline;
      for (size_t p = 0; p < each.line.size(); ++p) outline += spot(each.line[p].x, each.most[p]);
      for (size_t p = each.line.size(); p-- > 0;) outline += spot(each.line[p].x, each.least[p]);
      svg += fmt::format("<polygon points=\"{}\" fill=\"{}\" opacity=\"0.18\"/>\n", outline,
                         colour(i));
    }
    std::string path;
    for (const Point& point : each.line) path += spot(point.x, point.y);
    svg += fmt::format(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\"/>"
        "<text x=\"{}\" y=\"{}\" fill=\"{}\">{}</text>\n",
        path, colour(i), kWidth - kRight + 8, kTop + 14 + 16 * static_cast<double>(i), colour(i),
        html_escape(each.name));
  }
  return svg + "</svg>\n";
}

std::string scatter_chart(const Axes& axes, const std::vector<Series>& series) {
  const Frame frame = frame_of(series);
  std::string svg = begin_svg(kHeight) + grid(frame, axes);
  for (size_t i = 0; i < series.size(); ++i) {
    const Point& point = series[i].line.at(0);
    svg += fmt::format(
        "<circle cx=\"{0:.1f}\" cy=\"{1:.1f}\" r=\"5\" fill=\"{2}\"/>"
        "<text x=\"{3:.1f}\" y=\"{4:.1f}\" fill=\"{2}\">{5}</text>\n",
        frame.x.at(point.x), frame.y.at(point.y), colour(i), frame.x.at(point.x) + 8,
        frame.y.at(point.y) + 4, html_escape(series[i].name));
  }
  return svg + "</svg>\n";
}

std::string gantt_chart(const std::vector<std::string>& rows, const std::vector<Bar>& bars) {
  constexpr double kRow = 7;
  double end = 1;
  for (const Bar& bar : bars) end = std::max(end, bar.to_s);
  const Scale x = scale_over(0, end, kLeft, kWidth - 10);
  const double bottom = kTop + kRow * static_cast<double>(rows.size());
  std::map<std::string_view, size_t> place;
  for (size_t i = 0; i < rows.size(); ++i) place.emplace(rows[i], i);
  std::string svg = begin_svg(bottom + kBottom);
  for (int tick = 0; tick <= 5; ++tick) {
    const double at = x.low + (x.high - x.low) * tick / 5;
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>"
        "<text x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4:.6g} s</text>\n",
        x.at(at), kTop, bottom, bottom + 16, at);
  }
  for (const Bar& bar : bars) {
    svg += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{}\" fill=\"{}\"><title>{}: "
        "{:.0f} to {:.0f} s</title></rect>\n",
        x.at(bar.from_s), kTop + kRow * static_cast<double>(place.at(bar.row)),
        x.at(bar.to_s) - x.at(bar.from_s), kRow - 1, colour(bar.group), html_escape(bar.row),
        bar.from_s, bar.to_s);
  }
  return svg + "</svg>\n";
}

}  // namespace berth::cli
