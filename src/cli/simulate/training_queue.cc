#include "simulation/training_queue.h"

#include <map>
#include <memory>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "cli/simulate/commands.h"
#include "cli/simulate/report/training_report.h"
#include "core/sharing/time_slicing/policy.h"
#include "objects/json.h"
#include "traces/training_queue.h"

namespace berth::cli {
namespace {

struct Options {
  std::string jobs;
  int gpus = 0;
  std::vector<std::string> policies;
  std::string runtime = "known";
  double restart_cost_s = 0;
  uint64_t seed = 1;
  std::string output = "table";
  std::string schedule;
  std::string report;
};

const std::map<std::string, simulation::RuntimeKnowledge> kKnowledge = {
    {"known", simulation::RuntimeKnowledge::kKnown},
    {"noisy", simulation::RuntimeKnowledge::kNoisy},
    {"unknown", simulation::RuntimeKnowledge::kUnknown}};

std::string policy_help() {
  std::string text = "Which policy";
  for (const core::TimeSlicingPolicy& policy : core::time_slicing_policies()) {
    text += fmt::format("\n{}: {}", policy.name, policy.idea);
  }
  return text;
}

std::string schedule_lines(const std::vector<traces::TrainingJob>& jobs,
                           const simulation::TrainingQueueResult& result) {
  std::string text;
  for (size_t round = 0; round < result.rounds.size(); ++round) {
    text += std::to_string(round);
    for (uint32_t row : result.rounds[round]) text += " " + jobs[row].name;
    text += '\n';
  }
  return text;
}

JsonObject figures(const TrainingOutcome& outcome) {
  const simulation::TrainingQueueResult& result = outcome.result;
  return {{"policy", outcome.policy},
          {"makespan_s", result.makespan_s},
          {"mean_jct_s", result.mean_jct_s},
          {"worst_ftf", result.worst_ftf},
          {"unfair_percent", result.unfair_percent},
          {"restarts", result.restarts},
          {"restart_percent", result.restart_percent}};
}

void print_json(const Options& options, size_t jobs, const std::vector<TrainingOutcome>& outcomes) {
  JsonObject document{{"benchmark", "training-queue"},
                      {"runtime", options.runtime},
                      {"restart_cost_s", options.restart_cost_s},
                      {"jobs", jobs},
                      {"gpus", options.gpus}};
  if (outcomes.size() == 1) {
    for (auto& [name, value] : figures(outcomes[0])) document[name] = value;
  } else {
    JsonArray policies;
    for (const TrainingOutcome& outcome : outcomes) policies.push_back(figures(outcome));
    document["policies"] = std::move(policies);
  }
  fmt::print("{}\n", boost::json::serialize(document));
}

void print_table(const Options& options, const std::vector<TrainingOutcome>& outcomes) {
  fmt::print("{:<14} {:<8} {:>10} {:>10} {:>9} {:>8} {:>8} {:>15}\n", "policy", "runtime",
             "makespan", "mean JCT", "worst FTF", "unfair", "restarts", "time restarting");
  for (const auto& [policy, result] : outcomes) {
    fmt::print("{:<14} {:<8} {:>8.0f} s {:>8.0f} s {:>9.2f} {:>7.1f}% {:>8} {:>14.2f}%\n", policy,
               options.runtime, result.makespan_s, result.mean_jct_s, result.worst_ftf,
               result.unfair_percent, result.restarts, result.restart_percent);
  }
}

Result<> simulate(const Options& options) {
  BERTH_TRY(const std::string text, read_text_file(options.jobs));
  BERTH_TRY(const std::vector<traces::TrainingJob> jobs,
            traces::read_training_jobs(text, options.jobs));
  simulation::TrainingQueueRun run;
  run.jobs = jobs;
  run.devices = options.gpus;
  run.runtime = kKnowledge.at(options.runtime);
  run.restart_cost_s = options.restart_cost_s;
  run.seed = options.seed;
  std::vector<TrainingOutcome> outcomes;
  std::string schedule;
  for (const std::string& policy : options.policies) {
    run.policy = policy;
    BERTH_TRY(simulation::TrainingQueueResult result, simulation::run_training_queue(run));
    schedule += schedule_lines(jobs, result);
    outcomes.push_back({policy, std::move(result)});
  }
  if (!options.schedule.empty()) BERTH_CHECK(write_text_file(options.schedule, schedule));
  const auto page = [&] { return training_report(jobs, run, outcomes); };
  if (!options.report.empty()) BERTH_CHECK(write_text_file(options.report, page()));
  if (options.output == "html") {
    fmt::print("{}", page());
  } else if (options.output == "json") {
    print_json(options, jobs.size(), outcomes);
  } else {
    print_table(options, outcomes);
  }
  return {};
}

}  // namespace

void add_simulate_training_queue(CLI::App& simulate_command, int& exit_code) {
  auto options = std::make_shared<Options>();
  options->policies = {"berth"};
  auto* command = simulate_command.add_subcommand(
      "training-queue", "Training jobs share equal GPUs in rounds of 120 s (Shockwave's trace)");
  command->add_option("--jobs", options->jobs, "Job table: job,arrival_s,gpus,runtime_s[,model]")
      ->type_name("FILE")
      ->required();
  command->add_option("--gpus", options->gpus, "GPUs in the cluster")
      ->type_name("COUNT")
      ->required();
  command->add_option("--policy", options->policies, policy_help())
      ->type_name("POLICY")
      ->delimiter(',')
      ->capture_default_str();
  command
      ->add_option("--runtime", options->runtime,
                   "What the policy knows of running times: known, noisy or unknown")
      ->type_name("KNOWLEDGE")
      ->check(CLI::IsMember(kKnowledge))
      ->capture_default_str();
  command
      ->add_option("--restart-cost", options->restart_cost_s,
                   "Seconds of its own time that each start costs a job")
      ->type_name("SECONDS")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Seed of the noise")
      ->type_name("SEED")
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "table, json or html")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json", "html"}))
      ->capture_default_str();
  command
      ->add_option("--report", options->report,
                   "Also write an HTML file with plots; it needs nothing else")
      ->type_name("FILE");
  command->add_option("--schedule", options->schedule, "Write a line a round: round job job ...")
      ->type_name("FILE");
  command->footer(
      "Example:\n  berth simulate training-queue --jobs jobs.csv --gpus 64 --policy berth,srtf");
  command->callback([options, &exit_code] { exit_code = report(simulate(*options)); });
}

}  // namespace berth::cli
