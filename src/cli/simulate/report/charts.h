#pragma once

#include <string>
#include <vector>

namespace berth::cli {

struct Point {
  double x = 0;
  double y = 0;
};

/// A line, and where several runs stand behind it the band between their least and their most
/// (empty, or as many points as the line).
struct Series {
  std::string name;
  std::vector<Point> line;
  std::vector<double> least, most;
};

struct Axes {
  std::string x_title, y_title;
};

/// What ran from when to when, in rows; `group` chooses the colour.
struct Bar {
  std::string row;
  double from_s = 0, to_s = 0;
  size_t group = 0;
};

/// One self-contained `<svg>` each; texts are escaped.
std::string line_chart(const Axes& axes, const std::vector<Series>& series);
/// A named dot a series (its first point).
std::string scatter_chart(const Axes& axes, const std::vector<Series>& series);
std::string gantt_chart(const std::vector<std::string>& rows, const std::vector<Bar>& bars);

}  // namespace berth::cli
