#include "simulation/fleet/fleet.h"

#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "cli/serving/profile_file.h"
#include "cli/serving/service_options.h"
#include "cli/simulate/commands.h"
#include "cli/simulate/report/fleet_report.h"
#include "cli/simulate/runs.h"
#include "objects/json.h"
#include "simulation/fleet/comparison.h"
#include "traces/serving/request_log.h"

namespace berth::cli {
namespace {

using simulation::FleetOutcome;

struct Options {
  std::string trace, profile, seeds = "1..3";
  ServiceOptions service;
  std::vector<std::string> policies;
  double days = 7, rate = 8, price = 0;
  int copies = 1;
  bool synthetic = false, oracle = false;
  std::string output = "table", report;
};

std::string policy_help() {
  std::string text =
      "Which policies; NAME+plain puts a plain gateway before it (nothing paced or refused)";
  for (const core::ScalingPolicyRow& row : core::scaling_policies())
    text += fmt::format("\n{}: {}", row.name, row.idea);
  return text;
}

Result<simulation::Contender> contender_of(std::string name) {
  simulation::Contender contender;
  constexpr std::string_view kPlain = "+plain";
  if (name.ends_with(kPlain)) {
    contender.gateway = simulation::FleetGateway::kPlain;
    name.resize(name.size() - kPlain.size());
  }
  contender.policy = core::find_scaling_policy(name);
  if (contender.policy == nullptr)
    return fail(ErrorCode::kInvalid, fmt::format("there is no scaling policy `{}`", name),
                "--policy", fmt::format("choose from {}", core::scaling_policy_names()));
  return contender;
}

JsonObject figures(const FleetOutcome& outcome) {
  return {{"requests", outcome.requests},
          {"attainment", outcome.attainment()},
          {"refused", outcome.refused},
          {"late", outcome.late},
          {"slow", outcome.slow},
          {"device_hours", outcome.device_hours()},
          {"cold_starts", outcome.cold_starts},
          {"inside_per_device_hour", outcome.goodput()},
          {"ttft_p95_s", outcome.ttft_p95_s},
          {"tpot_p95_s", outcome.tpot_p95_s}};
}

JsonObject to_json(const MeanOverSeeds& figure) {
  return {{"mean", figure.mean}, {"confidence_95", figure.half_width}};
}

JsonObject document_of(const Options& options, const core::ScaledService& service,
                       const std::vector<uint64_t>& seeds,
                       const simulation::Comparison& comparison) {
  JsonArray policies;
  for (const simulation::ContenderResult& each : comparison.contenders) {
    JsonArray rows;
    for (size_t i = 0; i < seeds.size(); ++i) {
      JsonObject row{{"seed", seeds[i]}};
      for (auto& [name, value] : figures(each.by_seed[i])) row[name] = value;
      if (!each.oracle.empty()) row["oracle_device_hours"] = each.oracle[i].device_hours();
      rows.push_back(std::move(row));
    }
    JsonObject policy{
        {"policy", each.name},
        {"attainment",
         to_json(over_seeds(each.by_seed, [](const FleetOutcome& o) { return o.attainment(); }))},
        {"device_hours",
         to_json(over_seeds(each.by_seed, [](const FleetOutcome& o) { return o.device_hours(); }))},
        {"inside_per_device_hour",
         to_json(over_seeds(each.by_seed, [](const FleetOutcome& o) { return o.goodput(); }))},
        {"seeds", std::move(rows)}};
    if (!each.oracle.empty()) policy["over_oracle"] = to_json(over_oracle(each));
    if (options.price > 0)
      policy["cost"] = options.price * over_seeds(each.by_seed, [](const FleetOutcome& o) {
                                         return o.device_hours();
                                       }).mean;
    policies.push_back(std::move(policy));
  }
  JsonObject document{{"benchmark", "fleet"},
                      {"objective", JsonObject{{"ttft_s", service.objective.ttft_s},
                                               {"tpot_s", service.objective.tpot_s},
                                               {"latency_s", service.objective.latency_s},
                                               {"attainment", service.objective.attainment}}},
                      {"cold_start_s", service.cold_start_s},
                      {"policies", std::move(policies)}};
  if (!comparison.static_peak.empty())
    document["static_peak"] = JsonObject{
        {"attainment", to_json(over_seeds(comparison.static_peak,
                                          [](const FleetOutcome& o) { return o.attainment(); }))},
        {"device_hours", to_json(over_seeds(comparison.static_peak, [](const FleetOutcome& o) {
           return o.device_hours();
         }))}};
  return document;
}

void print_table(const Options& options, const simulation::Comparison& comparison) {
  fmt::print("{:<18}{:>16}{:>18}{:>14}{:>16}{:>8}{:>11}{:>11}{}\n", "policy", "inside",
             "device-hours", "over oracle", "inside/dev-h", "starts", "TTFT p95", "TPOT p95",
             options.price > 0 ? "      cost" : "");
  const auto line = [&](const std::string& name, const std::vector<FleetOutcome>& outcomes,
                        const std::string& ratio) {
    const auto of = [&](double (*figure)(const FleetOutcome&)) {
      return over_seeds(outcomes, figure);
    };
    const auto inside = of([](const FleetOutcome& o) { return 100 * o.attainment(); });
    const auto hours = of([](const FleetOutcome& o) { return o.device_hours(); });
    fmt::print(
        "{:<18}{:>8.2f}±{:<4.2f} %{:>11.2f} ±{:<5.2f}{:>14}{:>16.0f}{:>8.0f}{:>9.2f} s{:>8.1f} ms",
        name, inside.mean, inside.half_width, hours.mean, hours.half_width, ratio,
        of([](const FleetOutcome& o) { return o.goodput(); }).mean,
        of([](const FleetOutcome& o) { return static_cast<double>(o.cold_starts); }).mean,
        of([](const FleetOutcome& o) { return o.ttft_p95_s; }).mean,
        of([](const FleetOutcome& o) { return 1e3 * o.tpot_p95_s; }).mean);
    if (options.price > 0) fmt::print("{:>10.2f}", options.price * hours.mean);
    fmt::print("\n");
  };
  for (const simulation::ContenderResult& each : comparison.contenders)
    line(each.name, each.by_seed,
         each.oracle.empty() ? "" : fmt::format("{:.3f}x", over_oracle(each).mean));
  if (!comparison.static_peak.empty()) line("static peak", comparison.static_peak, "");
}

Result<> simulate(const Options& options) {
  if (options.trace.empty() == !options.synthetic)
    return fail(ErrorCode::kInvalid, "neither or both of --trace and --synthetic", {},
                "give a request log, or --synthetic for a made-up week");
  BERTH_TRY(const core::ServingProfile profile, read_profile(options.profile));
  simulation::ComparisonRun run;
  BERTH_TRY(run.service, resolve_service(options.service, profile));
  BERTH_TRY(run.seeds, parse_seeds(options.seeds));
  for (const std::string& name : options.policies) {
    BERTH_TRY(const simulation::Contender contender, contender_of(name));
    run.contenders.push_back(contender);
  }
  std::vector<traces::ServedRequest> trace;
  if (options.synthetic) {
    simulation::SyntheticWeek week;
    week.length_s = options.days * 86'400;
    week.mean_rate_per_s = options.rate;
    week.flash_crowds = static_cast<int>(1.5 * options.days + 0.5);
    run.workload = [week](uint64_t seed) { return simulation::synthetic_week(week, seed); };
    run.lead_in_s = 3600;
  } else {
    BERTH_TRY(const std::string text, read_text_file(options.trace));
    BERTH_TRY(trace, traces::parse_request_log(text, options.trace));
    if (trace.empty())
      return fail(ErrorCode::kInvalid, "no requests", options.trace, "give a log with some");
    run.workload = [&trace, &options](uint64_t seed) {
      return simulation::superpose(trace, options.copies, seed);
    };
  }
  run.oracle = options.oracle;
  const simulation::Comparison comparison = simulation::compare_fleets(run);
  const auto page = [&] {
    return fleet_report(options.synthetic ? "Fleet: a synthetic week" : "Fleet: " + options.trace,
                        run.service.objective, options.price, comparison);
  };
  if (!options.report.empty()) BERTH_CHECK(write_text_file(options.report, page()));
  if (options.output == "html")
    fmt::print("{}", page());
  else if (options.output == "json")
    fmt::print("{}\n",
               boost::json::serialize(document_of(options, run.service, run.seeds, comparison)));
  else
    print_table(options, comparison);
  return {};
}

}  // namespace

void add_simulate_fleet(CLI::App& simulate_command, int& exit_code) {
  auto options = std::make_shared<Options>();
  options->policies = {"queueing", "hpa+plain", "kpa+plain", "saturation+plain",
                       "throughput+plain"};
  auto* command = simulate_command.add_subcommand(
      "fleet", "A service's replicas under scaling policies, in virtual time, side by side");
  command
      ->add_option("--trace", options->trace,
                   "Request log (CSV of the Azure traces, or JSON lines)")
      ->type_name("FILE");
  command->add_flag("--synthetic", options->synthetic,
                    "A made-up load instead: daily wave, bursts, flash crowds");
  command->add_option("--days", options->days, "Of the made-up load")
      ->type_name("DAYS")
      ->check(CLI::Range(0.01, 366.0))
      ->capture_default_str();
  command->add_option("--rate", options->rate, "Of the made-up load: requests a second, mean")
      ->type_name("RATE")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  command
      ->add_option("--copies", options->copies,
                   "Copies of the trace on top of each other, at offsets by the seed, wrapped")
      ->type_name("COUNT")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command->add_option("--seeds", options->seeds, "Offsets (or made-up loads) to try: 1..5 or 1,7")
      ->type_name("SEEDS")
      ->capture_default_str();
  command->add_option("--profile", options->profile, "Profile by `berth profile fit`")
      ->type_name("FILE")
      ->required();
  add_service_options(*command, options->service);
  command->add_option("--policy", options->policies, policy_help())
      ->type_name("POLICY")
      ->delimiter(',')
      ->capture_default_str();
  command->add_flag("--oracle", options->oracle,
                    "Also the best schedule that knows the future, and the static peak fleet");
  command->add_option("--price", options->price, "Of a device-hour, to show cost")
      ->type_name("PRICE");
  command->add_option("-o,--output", options->output, "table, json or html")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json", "html"}))
      ->capture_default_str();
  command
      ->add_option("--report", options->report,
                   "Also write an HTML file with plots; it needs nothing else")
      ->type_name("FILE");
  command->footer(
      "Examples:\n"
      "  berth simulate fleet --trace requests.csv --profile profile.yaml --oracle --report "
      "r.html\n"
      "  berth simulate fleet --synthetic --days 7 --rate 5 --profile profile.yaml --seeds 1..5");
  command->callback([options, &exit_code] { exit_code = report(simulate(*options)); });
}

}  // namespace berth::cli
