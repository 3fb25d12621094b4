#include "cli/output/print.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <unistd.h>

namespace berth::cli {
namespace {

std::string cell_text(const Json& cell) {
  if (cell.is_string()) return std::string(cell.get_string());
  if (cell.is_null()) return "<none>";
  return boost::json::serialize(cell);
}

std::string labels_text(const Json& row) {
  std::string text;
  for (const auto& [key, value] : objects::find_object(row, {"object", "metadata", "labels"}))
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", std::string_view(key),
                        value.is_string() ? std::string_view(value.get_string()) : "");
  return text.empty() ? "<none>" : text;
}

/// Code points, which is what a terminal lines up (wide characters aside).
size_t width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u;
  }));
}

std::string upper(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return result;
}

}  // namespace

Result<Format> parse_format(std::string_view text) {
  if (text.empty()) return Format::kTable;
  if (text == "wide") return Format::kWide;
  if (text == "json") return Format::kJson;
  if (text == "yaml") return Format::kYaml;
  if (text == "name") return Format::kName;
  return fail(ErrorCode::kInvalid, fmt::format("unknown output format `{}`", text), "-o",
              "use json, yaml, wide or name");
}

bool stdout_has_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0') &&
         !(terminal != nullptr && std::string_view(terminal) == "dumb");
}

std::string paint(std::string_view text, Colour colour, bool enabled) {
  if (!enabled) return std::string(text);
  std::string_view code = "0";
  switch (colour) {
    case Colour::kNone:
      return std::string(text);
    case Colour::kRed:
      code = "31";
      break;
    case Colour::kGreen:
      code = "32";
      break;
    case Colour::kYellow:
      code = "33";
      break;
    case Colour::kBold:
      code = "1";
      break;
    case Colour::kDim:
      code = "2";
      break;
  }
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::string TextTable::take() {
  for (const auto& row : rows_) {
    widths_.resize(std::max(widths_.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths_[i] = std::max(widths_[i], width(row[i]));
  }
  std::string text;
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths_[i] - width(row[i]) + 3, ' ');
    }
    text += '\n';
  }
  rows_.clear();
  return text;
}

PrintedTable read_table(const Json& table, bool wide, bool with_namespace, std::string_view prefix,
                        bool with_labels) {
  PrintedTable printed;
  std::vector<size_t> shown;
  const JsonArray& columns = objects::find_array(table, {"columnDefinitions"});
  if (with_namespace) printed.header.push_back("NAMESPACE");
  for (size_t i = 0; i < columns.size(); ++i) {
    if (!wide && objects::find_int(columns[i], {"priority"}) > 0) continue;
    shown.push_back(i);
    printed.header.push_back(upper(objects::find_string(columns[i], {"name"})));
  }
  if (with_labels) printed.header.push_back("LABELS");
  for (const Json& row : objects::find_array(table, {"rows"})) {
    const JsonArray& cells = objects::find_array(row, {"cells"});
    std::vector<std::string> texts;
    if (with_namespace) {
      texts.emplace_back(objects::find_string(row, {"object", "metadata", "namespace"}));
    }
    for (const size_t i : shown) {
      texts.push_back((i == 0 ? std::string(prefix) : std::string()) +
                      (i < cells.size() ? cell_text(cells[i]) : std::string()));
    }
    if (with_labels) texts.push_back(labels_text(row));
    printed.rows.push_back(std::move(texts));
  }
  return printed;
}

std::string resource_name(std::string_view group, std::string_view singular,
                          std::string_view name) {
  return group.empty() ? fmt::format("{}/{}", singular, name)
                       : fmt::format("{}.{}/{}", singular, group, name);
}

int print_error(const Error& error) {
  fmt::print(stderr, "error: {}\n", error.to_string());
  return error.code == ErrorCode::kInvalid || error.code == ErrorCode::kUnsupported ? 2 : 1;
}

int exit_code_of(const Result<>& done) {
  return done ? 0 : print_error(done.error());
}

}  // namespace berth::cli
