#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/serving/profile_file.h"
#include "cli/serving/service_options.h"
#include "cli/simulate/commands.h"
#include "objects/json.h"
#include "simulation/fleet/tuning.h"
#include "traces/serving/request_log.h"

namespace berth::cli {
namespace {

using simulation::FleetOutcome;

struct Options {
  std::string trace, profile, output = "table";
  ServiceOptions service;
  int copies = 1;
  uint64_t seed = 1;
  double held_out = 40;
};

JsonObject to_json(const core::ScalingTuning& tuning) {
  return {{"memorySeconds", tuning.memory_s},
          {"holdSeconds", tuning.hold_s},
          {"efficiency", tuning.efficiency},
          {"share", tuning.share},
          {"feedback", tuning.feedback}};
}

JsonObject to_json(const FleetOutcome& before, const FleetOutcome& after) {
  return {{"attainment_before", before.attainment()},
          {"attainment_after", after.attainment()},
          {"device_hours_before", before.device_hours()},
          {"device_hours_after", after.device_hours()}};
}

double saved_percent(const FleetOutcome& before, const FleetOutcome& after) {
  return before.device_s > 0 ? 100 * (1 - after.device_s / before.device_s) : 0;
}

void print_part(const char* name, const FleetOutcome& before, const FleetOutcome& after) {
  fmt::print("{:<10}{:>10.2f}%{:>10.2f}%{:>12.2f}{:>12.2f}{:>9.1f}%\n", name,
             100 * before.attainment(), 100 * after.attainment(), before.device_hours(),
             after.device_hours(), saved_percent(before, after));
}

Result<> run(const Options& options) {
  BERTH_TRY(const core::ServingProfile profile, read_profile(options.profile));
  BERTH_TRY(const core::ScaledService service, resolve_service(options.service, profile));
  BERTH_TRY(const std::string text, read_text_file(options.trace));
  BERTH_TRY(const auto trace, traces::parse_request_log(text, options.trace));
  const auto workload = simulation::superpose(trace, options.copies, options.seed);
  if (workload.requests.size() < 100 || workload.length_s < 600)
    return fail(ErrorCode::kInvalid, "too little to learn from", options.trace,
                "give at least 100 requests over ten minutes");
  const simulation::TunedPolicy tuned =
      simulation::tune_policy(workload, service, 1 - options.held_out / 100);
  const bool proven = tuned.proven(service.objective.attainment);
  if (options.output == "json") {
    fmt::print("{}\n", boost::json::serialize(JsonObject{
                           {"tuning", to_json(tuned.tuning)},
                           {"tried", tuned.tried},
                           {"searched", to_json(tuned.before, tuned.after)},
                           {"held_out", to_json(tuned.before_held_out, tuned.after_held_out)},
                           {"proven", proven}}));
    return {};
  }
  fmt::print("{} settings tried on the first {:.0f}% of the trace\n\n", tuned.tried,
             100 - options.held_out);
  fmt::print("{:<10}{:>11}{:>11}{:>12}{:>12}{:>10}\n", "", "inside", "tuned", "device-h", "tuned",
             "saved");
  print_part("searched", tuned.before, tuned.after);
  print_part("held out", tuned.before_held_out, tuned.after_held_out);
  fmt::print("\n{}\n", proven ? "Holds where it was not searched:"
                              : "Does not hold where it was not searched: keep the defaults, not");
  for (const auto& [name, value] : to_json(tuned.tuning))
    fmt::print("  {}: {:.6g}\n", std::string_view(name), value.as_double());
  return {};
}

}  // namespace

void add_tune(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<Options>();
  auto* command = root.add_subcommand(
      "tune", "Search the scaling policy's parameters on a trace, and prove them on its rest");
  command->add_option("--trace", options->trace, "Request log")->type_name("FILE")->required();
  command->add_option("--profile", options->profile, "Profile by `berth profile fit`")
      ->type_name("FILE")
      ->required();
  command
      ->add_option("--copies", options->copies,
                   "Copies of the trace on top of each other, at offsets by the seed, wrapped")
      ->type_name("COUNT")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Of the offsets")
      ->type_name("SEED")
      ->capture_default_str();
  command->add_option("--held-out", options->held_out, "Percent of the trace not searched on")
      ->type_name("PERCENT")
      ->check(CLI::Range(10.0, 90.0))
      ->capture_default_str();
  add_service_options(*command, options->service);
  command->add_option("-o,--output", options->output, "table or json")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  command->footer(
      "Example:\n  berth tune --trace requests.csv --profile profile.yaml --held-out 40");
  command->callback([options, &exit_code] { exit_code = report(run(*options)); });
}

}  // namespace berth::cli
