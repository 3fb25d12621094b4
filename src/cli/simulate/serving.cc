#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/serving/profile_file.h"
#include "cli/serving/take.h"
#include "cli/simulate/commands.h"
#include "objects/json_text.h"
#include "simulation/serving/replay.h"
#include "traces/serving/request_log.h"

namespace berth::cli {
namespace {

struct Options {
  std::string profile, requests, take, per_request, output = "table";
};

/// One of the three times: what was predicted and, where the log has it, what was measured.
struct Measure {
  const char* name;
  std::vector<double> predicted, measured;
};

std::vector<Measure> collect(const std::vector<traces::ServedRequest>& requests,
                             const simulation::ServingRun& run, simulation::Take take) {
  std::vector<Measure> measures{{"ttft_s", {}, {}}, {"tpot_s", {}, {}}, {"e2e_s", {}, {}}};
  for (size_t i = take.first; i < take.last; ++i) {
    const traces::ServedRequest& seen = requests[i];
    const simulation::ServedTimes& times = run.requests[i];
    if (times.refused) continue;
    const int gaps = seen.output_tokens - 1;
    measures[0].predicted.push_back(times.ttft_s);
    if (gaps > 0) measures[1].predicted.push_back(times.tpot_s);
    measures[2].predicted.push_back(times.e2e_s);
    if (!seen.first_token_s || !seen.last_token_s) continue;
    measures[0].measured.push_back(*seen.first_token_s - seen.arrival_s);
    if (gaps > 0) measures[1].measured.push_back((*seen.last_token_s - *seen.first_token_s) / gaps);
    measures[2].measured.push_back(*seen.last_token_s - seen.arrival_s);
  }
  return measures;
}

Json to_json(const simulation::Summary& summary) {
  return JsonObject{
      {"mean", summary.mean}, {"p50", summary.p50}, {"p90", summary.p90}, {"p99", summary.p99}};
}

std::string to_csv(const std::vector<traces::ServedRequest>& requests,
                   const simulation::ServingRun& run, simulation::Take take) {
  std::string csv = "request_id,ttft_s,tpot_s,e2e_s\n";
  for (size_t i = take.first; i < take.last; ++i) {
    const simulation::ServedTimes& times = run.requests[i];
    csv += times.refused ? fmt::format("{},,,\n", requests[i].id)
                         : fmt::format("{},{:.6f},{:.6f},{:.6f}\n", requests[i].id, times.ttft_s,
                                       times.tpot_s, times.e2e_s);
  }
  return csv;
}

void print_table(const std::vector<Measure>& measures) {
  fmt::print("{:<8}{:>10}{:>10}{:>10}{:>10}\n", "", "mean", "p50", "p90", "p99");
  for (const Measure& measure : measures) {
    const auto predicted = simulation::summarize(measure.predicted);
    fmt::print("{:<8}{:>10.4g}{:>10.4g}{:>10.4g}{:>10.4g}\n", measure.name, predicted.mean,
               predicted.p50, predicted.p90, predicted.p99);
    if (measure.measured.empty()) continue;
    const auto seen = simulation::summarize(measure.measured);
    const auto off = [](double a, double b) { return b > 0 ? 100 * (a / b - 1) : 0; };
    fmt::print("{:<8}{:>9.1f}%{:>9.1f}%{:>9.1f}%{:>9.1f}%\n", "  error",
               off(predicted.mean, seen.mean), off(predicted.p50, seen.p50),
               off(predicted.p90, seen.p90), off(predicted.p99, seen.p99));
  }
}

Result<> simulate(const Options& options) {
  BERTH_TRY(const core::ServingProfile profile, read_profile(options.profile));
  BERTH_TRY(const std::string text, read_text_file(options.requests));
  BERTH_TRY(const auto requests, traces::parse_request_log(text, options.requests));
  BERTH_TRY(const simulation::Take take, parse_take(options.take, requests.size()));
  const simulation::ServingRun run = simulation::replay(profile, requests);
  if (!options.per_request.empty())
    BERTH_CHECK(write_text_file(options.per_request, to_csv(requests, run, take)));

  const std::vector<Measure> measures = collect(requests, run, take);
  const size_t refused = take.last - take.first - measures[0].predicted.size();
  if (options.output == "json") {
    JsonObject json{{"requests", take.last - take.first},
                    {"refused", refused},
                    {"iterations", run.iterations},
                    {"preemptions", run.preemptions},
                    {"makespan_s", run.makespan_s}};
    for (const Measure& measure : measures) {
      json[measure.name] = to_json(simulation::summarize(measure.predicted));
      if (!measure.measured.empty())
        json[fmt::format("measured_{}", measure.name)] =
            to_json(simulation::summarize(measure.measured));
    }
    fmt::print("{}\n", objects::pretty_json(json));
    return {};
  }
  print_table(measures);
  fmt::print("\n{} requests, {} iterations, {} preemptions, {:.1f} s of virtual time{}\n",
             take.last - take.first, run.iterations, run.preemptions, run.makespan_s,
             refused > 0 ? fmt::format("; {} do not fit the memory", refused) : "");
  return {};
}

}  // namespace

void add_simulate_serving(CLI::App& simulate_command, int& exit_code) {
  auto options = std::make_shared<Options>();
  auto* command = simulate_command.add_subcommand(
      "serving", "Replay requests on one replica of a profiled model: TTFT, TPOT, end to end");
  command->add_option("--profile", options->profile, "A ServingProfile, from `berth profile fit`")
      ->type_name("FILE")
      ->required();
  command
      ->add_option("--requests", options->requests,
                   "JSON lines of a run, or a CSV of the Azure LLM traces")
      ->type_name("FILE")
      ->required();
  command
      ->add_option("--take", options->take,
                   "Report rows A..B (A to B-1, from 0) only; the others are load all the same")
      ->type_name("A..B");
  command->add_option("--per-request", options->per_request, "Write a CSV line a request")
      ->type_name("FILE");
  command->add_option("-o,--output", options->output, "table or json")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json"}));
  command->footer("Example:\n  berth simulate serving --profile profile.yaml --requests run.jsonl");
  command->callback([options, &exit_code] { exit_code = report(simulate(*options)); });
}

}  // namespace berth::cli
