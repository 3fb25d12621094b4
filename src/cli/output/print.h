#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "objects/json.h"

namespace berth::cli {

/// How `-o` asks for objects.
enum class Format { kTable, kWide, kJson, kYaml, kName };
Result<Format> parse_format(std::string_view text);

/// Colours are used only where a person looks and NO_COLOR is not set.
enum class Colour { kNone, kRed, kGreen, kYellow, kBold, kDim };
bool stdout_has_colour();
std::string paint(std::string_view text, Colour colour, bool enabled);

/// Lines up cells in columns three spaces apart, as kubectl does. The last column is not padded.
class TextTable {
 public:
  TextTable() = default;
  explicit TextTable(std::vector<std::string> header) { add(std::move(header)); }
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.size() < 2; }
  std::string to_string() const { return TextTable(*this).take(); }
  /// What was added since the last call, in columns that never get narrower: what comes later is in
  /// line with what came before.
  std::string take();

 private:
  std::vector<size_t> widths_;
  std::vector<std::vector<std::string>> rows_;
};

/// A server's Table as text: columns of priority 0, or all when `wide`. `with_namespace` puts the
/// namespace of each row first, `with_labels` its labels last, and `prefix` (`pod/`) stands before
/// each name.
struct PrintedTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};
PrintedTable read_table(const Json& table, bool wide, bool with_namespace,
                        std::string_view prefix = {}, bool with_labels = false);

/// `pod/web-0`, `job.batch/train`, as `-o name` prints.
std::string resource_name(std::string_view group, std::string_view singular, std::string_view name);

/// To stderr, as `error: ...`. Answers the exit code: 2 for what the user got wrong, else 1.
int print_error(const Error& error);
/// The exit code of a command that ended so; an error is printed.
int exit_code_of(const Result<>& done);

}  // namespace berth::cli
