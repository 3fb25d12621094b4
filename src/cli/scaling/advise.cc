#include <charconv>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/scaling/advise_running.h"
#include "cli/serving/profile_file.h"
#include "cli/serving/service_options.h"
#include "cli/simulate/commands.h"
#include "core/scaling/advice/advice.h"
#include "objects/json.h"
#include "simulation/fleet/comparison.h"
#include "traces/serving/request_log.h"

namespace berth::cli {
namespace {

struct Options {
  std::vector<std::string> profiles;
  ServiceOptions service;
  std::string trace, output = "table";
  double rate = 0, cv = 1;
  int prompt_tokens = 0, output_tokens = 0;
};

/// `FILE` or `FILE=PRICE`, the price being a replica's an hour.
struct PricedProfile {
  std::string file;
  Money per_hour;
};

Result<PricedProfile> parse_profile(const std::string& text) {
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos) return PricedProfile{text, {}};
  double price = 0;
  const char* end = text.data() + text.size();
  const auto [at, status] = std::from_chars(text.data() + equals + 1, end, price);
  if (status != std::errc() || at != end || !(price >= 0) || price > 1e6)
    return fail(ErrorCode::kInvalid, fmt::format("`{}` has no price from 0 to 1e6", text),
                "--profile", "write FILE=2.5, what a replica costs an hour");
  return PricedProfile{text.substr(0, equals), {static_cast<int64_t>(price * 1e6 + 0.5)}};
}

/// The load that is asked for: of a log, or of one length.
Result<core::ServingLoad> load_of(const Options& options) {
  core::ServingLoad load{.rate_per_s = options.rate, .gap_cv = options.cv, .shapes = {}};
  if (options.trace.empty()) {
    if (options.prompt_tokens < 1 || options.output_tokens < 1 || options.rate <= 0)
      return fail(ErrorCode::kInvalid, "the load is not known", {},
                  "give --trace, or --rate with --prompt-tokens and --output-tokens");
    load.shapes = {{options.prompt_tokens, options.output_tokens}};
    return load;
  }
  BERTH_TRY(const std::string text, read_text_file(options.trace));
  BERTH_TRY(const auto trace, traces::parse_request_log(text, options.trace));
  const simulation::RequestLoad workload = simulation::superpose(trace, 1, 1);
  if (workload.requests.empty())
    return fail(ErrorCode::kInvalid, "no requests", options.trace, "give a log with some");
  load.shapes = simulation::shapes_of(workload);
  if (options.rate <= 0)
    load.rate_per_s = static_cast<double>(workload.requests.size()) / workload.length_s;
  return load;
}

std::string name_of(const core::ServingProfile& profile, const std::string& file) {
  return profile.accelerator.empty() ? file : profile.accelerator;
}

void print_json(const Options& options, const std::vector<core::ServingProfile>& profiles,
                const std::vector<PricedProfile>& priced, const core::ServingLoad& load,
                const std::vector<core::Advice>& advice) {
  JsonArray rows;
  for (const core::Advice& each : advice) {
    const core::ServingProfile& profile = profiles[each.option];
    JsonObject row{{"profile", priced[each.option].file},
                   {"accelerator", profile.accelerator},
                   {"model", profile.model},
                   {"engine", profile.engine},
                   {"possible", each.possible},
                   {"arithmetic", each.arithmetic}};
    if (each.possible) {
      row["replicas"] = each.replicas;
      row["capacity_per_s"] = each.capacity_per_s;
      row["ttft_p95_s"] = each.forecast.ttft_s.p95;
      row["tpot_p95_s"] = each.forecast.tpot_s.p95;
      row["attainment"] = each.inside;
      row["cost_per_hour"] = static_cast<double>(each.per_hour.micro) / 1e6;
      row["cost_per_million_tokens"] = static_cast<double>(each.per_million_tokens.micro) / 1e6;
    }
    rows.push_back(std::move(row));
  }
  fmt::print("{}\n", boost::json::serialize(JsonObject{{"rate_per_s", load.rate_per_s},
                                                       {"gap_cv", options.cv},
                                                       {"options", std::move(rows)}}));
}

void print_table(const std::vector<core::ServingProfile>& profiles,
                 const std::vector<PricedProfile>& priced,
                 const std::vector<core::Advice>& advice) {
  fmt::print("{:<32}{:<28}{:>9}{:>10}{:>10}{:>8}{:>11}{:>12}\n", "accelerator", "model", "replicas",
             "TTFT p95", "TPOT p95", "inside", "cost/h", "cost/Mtok");
  for (const core::Advice& each : advice) {
    const core::ServingProfile& profile = profiles[each.option];
    fmt::print("{:<32.31}{:<28.27}", name_of(profile, priced[each.option].file), profile.model);
    if (each.possible)
      fmt::print("{:>9}{:>8.2f} s{:>7.1f} ms{:>7.1f}%{:>11.2f}{:>12.3f}\n", each.replicas,
                 each.forecast.ttft_s.p95, 1e3 * each.forecast.tpot_s.p95, 100 * each.inside,
                 static_cast<double>(each.per_hour.micro) / 1e6,
                 static_cast<double>(each.per_million_tokens.micro) / 1e6);
    else
      fmt::print("{:>9}\n", "no");
    fmt::print("  {}\n", each.arithmetic);
  }
}

Result<> run(const Options& options) {
  if (options.profiles.empty())
    return fail(ErrorCode::kInvalid, "there is nothing to choose from", "--profile",
                "give FILE=PRICE, or ask `berth advise running` about what runs");
  std::vector<PricedProfile> priced;
  std::vector<core::ServingProfile> profiles;
  for (const std::string& text : options.profiles) {
    BERTH_TRY(PricedProfile profile, parse_profile(text));
    BERTH_TRY(core::ServingProfile read, read_profile(profile.file));
    priced.push_back(std::move(profile));
    profiles.push_back(std::move(read));
  }
  BERTH_TRY(const core::ServingLoad load, load_of(options));
  BERTH_TRY(const core::ScaledService service, resolve_service(options.service, profiles.at(0)));
  std::vector<core::ServingOption> choices;
  for (size_t i = 0; i < profiles.size(); ++i)
    choices.push_back({&profiles[i], priced[i].per_hour});
  const auto advice = core::advise(choices, load, service.objective, service.max_replicas);
  if (options.output == "json")
    print_json(options, profiles, priced, load, advice);
  else
    print_table(profiles, priced, advice);
  return {};
}

}  // namespace

void add_advise(CLI::App& root, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<Options>();
  auto* command = root.add_subcommand(
      "advise", "What would serve a load within an objective cheapest, with the arithmetic");
  add_advise_running(*command, globals, exit_code);
  command
      ->add_option("--profile", options->profiles,
                   "Profile by `berth profile fit`, and what its replica costs an hour: FILE=2.5; "
                   "one for each accelerator, quantisation, engine or sibling model to weigh")
      ->type_name("FILE");
  command->add_option("--rate", options->rate, "Requests a second (default: the trace's mean)")
      ->type_name("RATE");
  command->add_option("--cv", options->cv, "Of the gaps between requests: 1 is Poisson")
      ->type_name("CV")
      ->check(CLI::Range(0.1, 20.0))
      ->capture_default_str();
  command->add_option("--prompt-tokens", options->prompt_tokens, "Of a request")
      ->type_name("COUNT");
  command->add_option("--output-tokens", options->output_tokens, "Of a request")
      ->type_name("COUNT");
  command->add_option("--trace", options->trace, "Request log to take lengths and rate from")
      ->type_name("FILE");
  add_service_options(*command, options->service);
  command->add_option("-o,--output", options->output, "table or json")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  command->footer(
      "Example:\n  berth advise --profile h100.yaml=2.5 --profile l4.yaml=0.7 --rate 12 "
      "--prompt-tokens 1000 --output-tokens 200");
  command->callback([options, command, &exit_code] {
    if (command->get_subcommands().empty()) exit_code = report(run(*options));
  });
}

}  // namespace berth::cli
