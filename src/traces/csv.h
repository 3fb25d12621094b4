#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace berth::traces {

/// A comma-separated table with a header line, each cell with its position for error messages.
/// Quotes are not used by the traces that are read here and are not interpreted.
class CsvTable {
 public:
  /// `text` outlives the table. Fails where a row has more or fewer cells than the header.
  static Result<CsvTable> parse(std::string_view text, std::string file);

  size_t rows() const { return lines_.size(); }
  bool has(std::string_view column) const;
  /// The index of a column; the error names the columns that are there.
  Result<size_t> column(std::string_view name) const;
  std::string_view cell(size_t row, size_t column) const { return cells_[row * width() + column]; }

  /// A whole number in [minimum, 2^53].
  Result<int64_t> integer(size_t row, size_t column, int64_t minimum) const;
  /// A finite number of at least `minimum`.
  Result<double> number(size_t row, size_t column, double minimum) const;
  /// `file:line:column` of a cell.
  std::string where(size_t row, size_t column) const;

 private:
  size_t width() const { return header_.size(); }

  std::string file_;
  std::string_view text_;
  std::vector<std::string_view> header_;
  std::vector<std::string_view> cells_;
  std::vector<size_t> lines_;  ///< by row: its line in the file, from 1
};

}  // namespace berth::traces
