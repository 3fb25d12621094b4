#include "traces/serving/request_log.h"

#include <algorithm>
#include <cmath>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include "base/text.h"
#include "base/time.h"
#include "traces/csv.h"

namespace berth::traces {
namespace {

namespace json = boost::json;

constexpr int kMostTokens = 10'000'000;

std::unexpected<Error> bad(const std::string& file, size_t line, std::string what,
                           std::string fix) {
  return fail(ErrorCode::kInvalid, std::move(what), fmt::format("{}:{}", file, line),
              std::move(fix));
}

std::optional<double> number(const json::object& row, std::string_view key) {
  const json::value* value = row.if_contains(key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return value->to_number<double>();
}

/// A row with absolute times.
Result<ServedRequest> parse_row(std::string_view text, const std::string& file, size_t line) {
  json::error_code error;
  const json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !value.is_object())
    return bad(file, line, "not a JSON object", "write one request a line, as JSON");
  const json::object& row = value.get_object();
  ServedRequest request;
  for (const auto& [key, count] :
       {std::pair("input_toks", &request.prompt_tokens), {"output_toks", &request.output_tokens}}) {
    const auto tokens = number(row, key);
    if (!tokens || !(*tokens >= 1 && *tokens <= kMostTokens))
      return bad(file, line, fmt::format("`{}` is no number of tokens", key),
                 "give an integer of at least 1");
    *count = static_cast<int>(*tokens);
  }
  const auto queued = number(row, "queued_ts");
  const auto arrived = queued ? queued : number(row, "arrival_time");
  if (!arrived)
    return bad(file, line, "no arrival", "give `queued_ts` or `arrival_time` in seconds");
  request.arrival_s = *arrived;
  if (queued) {
    request.first_token_s = number(row, "first_token_ts");
    request.last_token_s = number(row, "last_token_ts");
    if (request.first_token_s.value_or(*queued) < *queued ||
        request.last_token_s.value_or(*queued) < request.first_token_s.value_or(*queued))
      return bad(file, line, "the last token, the first token and the arrival are out of order",
                 "give all three on one clock");
  }
  const json::value* id = row.if_contains("request_id");
  request.id = id != nullptr && id->is_string() ? std::string(id->get_string())
                                                : fmt::format("{}", line - 1);
  return request;
}

Result<std::vector<ServedRequest>> parse_json_lines(std::string_view text,
                                                    const std::string& file) {
  std::vector<ServedRequest> requests;
  size_t line = 0;
  for (std::string_view row : split(text, '\n')) {
    ++line;
    if (trim(row).empty()) continue;
    BERTH_TRY(ServedRequest request, parse_row(row, file, line));
    if (!requests.empty() && request.arrival_s < requests.back().arrival_s)
      return bad(file, line, "it arrives before the request above it", "sort the file by arrival");
    requests.push_back(std::move(request));
  }
  return requests;
}

Result<std::vector<ServedRequest>> parse_azure(std::string_view text, const std::string& file) {
  BERTH_TRY(const CsvTable table, CsvTable::parse(text, file));
  BERTH_TRY(const size_t time, table.column("TIMESTAMP"));
  BERTH_TRY(const size_t prompt, table.column("ContextTokens"));
  BERTH_TRY(const size_t output, table.column("GeneratedTokens"));
  std::vector<ServedRequest> requests;
  requests.reserve(table.rows());
  for (size_t row = 0; row < table.rows(); ++row) {
    std::string stamp(table.cell(row, time));
    if (!stamp.ends_with('Z')) stamp += 'Z';
    const auto at = parse_time(stamp);
    if (!at)
      return fail(ErrorCode::kInvalid, at.error().what, table.where(row, time), at.error().fix);
    BERTH_TRY(const int64_t prompt_tokens, table.integer(row, prompt, 1));
    BERTH_TRY(const int64_t output_tokens, table.integer(row, output, 1));
    ServedRequest request{
        .id = fmt::format("{}", row),
        .arrival_s = static_cast<double>(at->ns) / 1e9,
        .prompt_tokens = static_cast<int>(std::min<int64_t>(prompt_tokens, kMostTokens)),
        .output_tokens = static_cast<int>(std::min<int64_t>(output_tokens, kMostTokens)),
        .first_token_s = {},
        .last_token_s = {}};
    if (!requests.empty() && request.arrival_s < requests.back().arrival_s)
      return fail(ErrorCode::kInvalid, "it arrives before the request above it",
                  table.where(row, time), "sort the file by TIMESTAMP");
    requests.push_back(std::move(request));
  }
  return requests;
}

}  // namespace

Result<std::vector<ServedRequest>> parse_request_log(std::string_view text,
                                                     const std::string& file) {
  const std::string_view content = trim(text);
  auto requests = content.starts_with('{') ? parse_json_lines(text, file) : parse_azure(text, file);
  if (!requests) return requests;
  if (requests->empty()) return bad(file, 1, "no requests", "give at least one");
  const double origin = requests->front().arrival_s;
  for (ServedRequest& request : *requests) {
    request.arrival_s -= origin;
    if (request.first_token_s) *request.first_token_s -= origin;
    if (request.last_token_s) *request.last_token_s -= origin;
  }
  return requests;
}

}  // namespace berth::traces
