#include <algorithm>
#include <cctype>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "base/money.h"
#include "cli/commands.h"
#include "cli/globals.h"
#include "cli/output/print.h"
#include "cli/server/api.h"
#include "cli/simulate/commands.h"
#include "core/cost/focus.h"

namespace berth::cli {
namespace {

using objects::find_int;
using objects::find_string;

struct Options {
  std::string by = "queue", since = "24h", until, output = "table";
};

/// `24h` ago, or an instant.
Result<Time> time_of(const char* option, const std::string& text, Time now) {
  if (const auto instant = parse_time(text)) return *instant;
  const auto span = parse_duration(text);
  if (span && span->ns >= 0) return now - *span;
  return fail(ErrorCode::kInvalid, fmt::format("`{}` is no time", text), option,
              "write 24h, or 2026-11-01T00:00:00Z");
}

std::string cost_at(const Json& json, std::string_view key) {
  return core::format_money({find_int(json, {key})});
}

std::string title_of(std::string by) {
  std::transform(by.begin(), by.end(), by.begin(),
                 [](unsigned char each) { return static_cast<char>(std::toupper(each)); });
  return by;
}

/// `1234567` as `1.23M`.
std::string short_count(int64_t count) {
  if (count >= 1'000'000) return fmt::format("{:.2f}M", static_cast<double>(count) / 1e6);
  return count >= 1000 ? fmt::format("{:.1f}k", static_cast<double>(count) / 1e3)
                       : fmt::format("{}", count);
}

void print_table(const Json& report, const std::string& by) {
  const std::string_view currency = find_string(report, {"currency"});
  const bool tokens = by == "model" || by == "tenant" || by == "consumer";
  std::vector<std::string> titles = {title_of(by), "DEVICE-HOURS",
                                     fmt::format("COST {}", currency)};
  if (tokens) titles.insert(titles.end(), {"TOKENS IN", "TOKENS OUT"});
  if (by == "model") titles.emplace_back("PER 1M TOKENS");
  const size_t columns = titles.size();
  TextTable table(std::move(titles));
  const auto add = [&](std::vector<std::string> cells) {
    cells.resize(columns);
    table.add(std::move(cells));
  };
  for (const Json& row : objects::find_array(report, {"rows"})) {
    const std::string_view key = find_string(row, {"key"});
    const Json* seconds = objects::find(row, {"deviceSeconds"});
    std::vector<std::string> cells = {std::string(key.empty() ? "-" : key),
                                      fmt::format("{:.3f}", seconds->to_number<double>() / 3600),
                                      cost_at(row, "costMicro")};
    if (objects::find(row, {"inputTokens"}) != nullptr)
      cells.insert(cells.end(), {short_count(find_int(row, {"inputTokens"})),
                                 short_count(find_int(row, {"outputTokens"}))});
    if (objects::find(row, {"costPerMillionTokensMicro"}) != nullptr)
      cells.push_back(cost_at(row, "costPerMillionTokensMicro"));
    add(std::move(cells));
  }
  add({"(idle)", "", cost_at(report, "idleMicro")});
  add({"(overhead)", "", cost_at(report, "overheadMicro")});
  add({"total", "", cost_at(report, "totalMicro")});
  fmt::print("{}", table.to_string());
  if (currency.empty())
    fmt::print(stderr, "no prices are configured: give `berth serve --config` a file with some\n");
}

Result<> run(const Globals& globals, const Options& options) {
  const Time now = globals.clock->now();
  BERTH_TRY(const Time from, time_of("--since", options.since, now));
  BERTH_TRY(const Time to,
            options.until.empty() ? Result<Time>(now) : time_of("--until", options.until, now));
  if (from >= to)
    return fail(ErrorCode::kInvalid, "that is no span of time", "--since, --until",
                "let --since be before --until");
  BERTH_TRY(const Api api, Api::open(globals));
  BERTH_TRY(const Json report,
            api.get(fmt::format("/berth/v1/cost?by={}&from={}&to={}{}", options.by,
                                format_micro_time(from), format_micro_time(to),
                                options.output == "focus" ? "&format=focus" : "")));
  if (options.output == "focus")
    fmt::print("{}", report.is_string() ? std::string_view(report.get_string()) : "");
  else if (options.output == "json")
    fmt::print("{}\n", boost::json::serialize(report));
  else
    print_table(report, options.by);
  return {};
}

}  // namespace

void add_cost(CLI::App& root, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<Options>();
  auto* command = root.add_subcommand(
      "cost", "What this server's ledger says was spent, by whom, and what was idle");
  command
      ->add_option("--by", options->by,
                   "queue, tenant (namespace; of tokens, the key's), model, job, or consumer "
                   "(tenants, each with its part, by tokens, of the models that it asked)")
      ->type_name("DIMENSION")
      ->check(CLI::IsMember({"queue", "tenant", "model", "job", "consumer"}))
      ->capture_default_str();
  command->add_option("--since", options->since, "How far back, or from when")
      ->type_name("TIME")
      ->capture_default_str();
  command->add_option("--until", options->until, "How far back, or until when (default: now)")
      ->type_name("TIME");
  command->add_option("-o,--output", options->output, "table, json, or focus (FOCUS 1.2 CSV)")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json", "focus"}))
      ->capture_default_str();
  command->footer(
      "Prices are those of `berth serve --config`, at the time that each thing was used.\n"
      "Examples:\n"
      "  berth cost\n"
      "  berth cost --by model --since 2026-11-01T00:00:00Z\n"
      "  berth cost --since 720h -o focus > bill.csv");
  command->callback(
      [options, &globals, &exit_code] { exit_code = report(run(globals, *options)); });
}

}  // namespace berth::cli
