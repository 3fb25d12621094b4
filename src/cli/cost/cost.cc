#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/cost/objects_ledger.h"
#include "cli/cost/prices.h"
#include "cli/globals.h"
#include "cli/output/print.h"
#include "cli/server/api.h"
#include "cli/simulate/commands.h"
#include "core/cost/focus.h"

namespace berth::cli {
namespace {

struct Options {
  std::string prices, by = "queue", since = "24h", output = "table";
};

/// `24h` ago, or an instant.
Result<Time> since_of(const std::string& text, Time now) {
  if (const auto instant = parse_time(text)) return *instant;
  const auto span = parse_duration(text);
  if (span && span->ns > 0) return now - *span;
  return fail(ErrorCode::kInvalid, fmt::format("`{}` is no time", text), "--since",
              "write 24h, or 2026-11-01T00:00:00Z");
}

void print_table(const core::CostReport& report, const std::string& by,
                 const std::string& currency) {
  std::string title = by;
  std::transform(title.begin(), title.end(), title.begin(),
                 [](unsigned char each) { return static_cast<char>(std::toupper(each)); });
  TextTable table({title, "DEVICE-HOURS", "COST " + currency});
  const auto add = [&](const std::string& name, const std::string& hours, Money cost) {
    table.add({name, hours, core::format_money(cost)});
  };
  for (const core::CostReport::Row& row : report.rows)
    add(row.key.empty() ? "-" : row.key, fmt::format("{:.3f}", row.device_time.to_seconds() / 3600),
        row.cost);
  add("(idle)", "", report.idle);
  add("(overhead)", "", report.overhead);
  add("total", "", report.total);
  fmt::print("{}", table.to_string());
}

void print_json(const core::CostReport& report, const std::string& by, const std::string& currency,
                Time from, Time to) {
  JsonArray rows;
  for (const core::CostReport::Row& row : report.rows)
    rows.push_back(JsonObject{{by, row.key},
                              {"cost_micro", row.cost.micro},
                              {"device_seconds", row.device_time.to_seconds()}});
  fmt::print("{}\n", boost::json::serialize(JsonObject{{"from", format_time(from)},
                                                       {"to", format_time(to)},
                                                       {"currency", currency},
                                                       {"rows", std::move(rows)},
                                                       {"allocated_micro", report.allocated.micro},
                                                       {"idle_micro", report.idle.micro},
                                                       {"overhead_micro", report.overhead.micro},
                                                       {"total_micro", report.total.micro}}));
}

Result<> run(const Globals& globals, const Options& options) {
  BERTH_TRY(const Prices prices, read_prices(options.prices));
  const Time now = globals.clock->now();
  BERTH_TRY(const Time from, since_of(options.since, now));
  BERTH_TRY(const Api api, Api::open(globals));
  BERTH_TRY(const std::vector<Json> nodes, api.list(api.kind("", "nodes"), ""));
  BERTH_TRY(const std::vector<Json> pods, api.list(api.kind("", "pods"), ""));
  const core::CostLedger ledger = ledger_of(nodes, pods, prices.list);
  if (options.output == "focus") {
    fmt::print("{}", core::focus_csv(ledger, prices.list, prices.currency, from, now));
    return {};
  }
  const core::CostReport report =
      ledger.report(prices.list, *core::cost_dimension(options.by), from, now);
  if (options.output == "json")
    print_json(report, options.by, prices.currency, from, now);
  else
    print_table(report, options.by, prices.currency);
  return {};
}

}  // namespace

void add_cost(CLI::App& root, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<Options>();
  auto* command = root.add_subcommand(
      "cost", "What the pods that the server knows cost, by whom, and what was idle");
  command
      ->add_option("--prices", options->prices,
                   "BerthConfiguration with `prices`, as `berth serve --config` has it")
      ->required();
  command->add_option("--by", options->by, "queue, tenant (namespace), model or job")
      ->check(CLI::IsMember({"queue", "tenant", "model", "job"}))
      ->capture_default_str();
  command->add_option("--since", options->since, "How far back, or from when")
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "table, json, or focus (FOCUS 1.2 CSV)")
      ->check(CLI::IsMember({"table", "json", "focus"}))
      ->capture_default_str();
  command->footer(
      "Examples:\n"
      "  berth cost --prices berth.yaml --by tenant --since 24h\n"
      "  berth cost --prices berth.yaml -o focus > costs.csv");
  command->callback(
      [options, &globals, &exit_code] { exit_code = report(run(globals, *options)); });
}

}  // namespace berth::cli
