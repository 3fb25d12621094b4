#include "traces/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"

namespace berth::traces {

Result<CsvTable> CsvTable::parse(std::string_view text, std::string file) {
  CsvTable table;
  table.file_ = std::move(file);
  table.text_ = text;
  size_t line_number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    ++line_number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::vector<std::string_view> cells = split(line, ',');
    if (table.header_.empty()) {
      table.header_ = cells;
      continue;
    }
    if (cells.size() != table.width()) {
      return fail(ErrorCode::kInvalid,
                  fmt::format("{} cells where the header has {}", cells.size(), table.width()),
                  fmt::format("{}:{}:1", table.file_, line_number),
                  fmt::format("give every row the columns {}", fmt::join(table.header_, ",")));
    }
    table.cells_.insert(table.cells_.end(), cells.begin(), cells.end());
    table.lines_.push_back(line_number);
  }
  if (table.header_.empty()) {
    return fail(ErrorCode::kInvalid, "the file is empty", table.file_ + ":1:1",
                "start it with a line that names the columns");
  }
  return table;
}

bool CsvTable::has(std::string_view name) const {
  return std::find(header_.begin(), header_.end(), name) != header_.end();
}

Result<size_t> CsvTable::column(std::string_view name) const {
  const auto at = std::find(header_.begin(), header_.end(), name);
  if (at != header_.end()) return static_cast<size_t>(at - header_.begin());
  const std::string_view near = closest(name, header_);
  return fail(ErrorCode::kInvalid, fmt::format("there is no column `{}`", name), file_ + ":1:1",
              near.empty()
                  ? fmt::format("its columns are {}; add `{}`", fmt::join(header_, ","), name)
                  : fmt::format("rename `{}` to `{}`", near, name));
}

Result<int64_t> CsvTable::integer(size_t row, size_t column, int64_t minimum) const {
  const std::string_view text = cell(row, column);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < minimum ||
      value > int64_t{1} << 53) {
    return fail(ErrorCode::kInvalid, fmt::format("{} is `{}`", header_[column], text),
                where(row, column), fmt::format("write a whole number of at least {}", minimum));
  }
  return value;
}

Result<double> CsvTable::number(size_t row, size_t column, double minimum) const {
  const std::string_view text = cell(row, column);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) ||
      value < minimum) {
    return fail(ErrorCode::kInvalid, fmt::format("{} is `{}`", header_[column], text),
                where(row, column), fmt::format("write a number of at least {}", minimum));
  }
  return value;
}

std::string CsvTable::where(size_t row, size_t column) const {
  const std::string_view first = cell(row, 0);
  return fmt::format("{}:{}:{}", file_, lines_[row], cell(row, column).data() - first.data() + 1);
}

}  // namespace berth::traces
