#include "simulation/training_queue.h"

#include <map>
#include <memory>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "cli/simulate/commands.h"
#include "core/sharing/time_slicing/policy.h"
#include "objects/json.h"
#include "traces/training_queue.h"

namespace berth::cli {
namespace {

struct Options {
  std::string jobs;
  int gpus = 0;
  std::string policy = "berth";
  std::string runtime = "known";
  double restart_cost_s = 0;
  uint64_t seed = 1;
  std::string output = "table";
  std::string schedule;
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

Result<> simulate(const Options& options) {
  BERTH_TRY(const std::string text, read_text_file(options.jobs));
  BERTH_TRY(const std::vector<traces::TrainingJob> jobs,
            traces::read_training_jobs(text, options.jobs));
  simulation::TrainingQueueRun run;
  run.jobs = jobs;
  run.devices = options.gpus;
  run.policy = options.policy;
  run.runtime = kKnowledge.at(options.runtime);
  run.restart_cost_s = options.restart_cost_s;
  run.seed = options.seed;
  BERTH_TRY(const simulation::TrainingQueueResult result, simulation::run_training_queue(run));
  if (!options.schedule.empty()) {
    BERTH_CHECK(write_text_file(options.schedule, schedule_lines(jobs, result)));
  }
  if (options.output == "json") {
    const JsonObject document{{"benchmark", "training-queue"},
                              {"policy", options.policy},
                              {"runtime", options.runtime},
                              {"restart_cost_s", options.restart_cost_s},
                              {"jobs", jobs.size()},
                              {"gpus", options.gpus},
                              {"makespan_s", result.makespan_s},
                              {"mean_jct_s", result.mean_jct_s},
                              {"worst_ftf", result.worst_ftf},
                              {"unfair_percent", result.unfair_percent},
                              {"restarts", result.restarts},
                              {"restart_percent", result.restart_percent}};
    fmt::print("{}\n", boost::json::serialize(document));
    return {};
  }
  fmt::print("{:<14} {:<8} {:>10} {:>10} {:>9} {:>8} {:>8} {:>15}\n", "policy", "runtime",
             "makespan", "mean JCT", "worst FTF", "unfair", "restarts", "time restarting");
  fmt::print("{:<14} {:<8} {:>8.0f} s {:>8.0f} s {:>9.2f} {:>7.1f}% {:>8} {:>14.2f}%\n",
             options.policy, options.runtime, result.makespan_s, result.mean_jct_s,
             result.worst_ftf, result.unfair_percent, result.restarts, result.restart_percent);
  return {};
}

}  // namespace

void add_simulate_training_queue(CLI::App& simulate_command, int& exit_code) {
  auto options = std::make_shared<Options>();
  auto* command = simulate_command.add_subcommand(
      "training-queue", "Training jobs share equal GPUs in rounds of 120 s (Shockwave's trace)");
  command->add_option("--jobs", options->jobs, "Job table: job,arrival_s,gpus,runtime_s[,model]")
      ->required();
  command->add_option("--gpus", options->gpus, "GPUs in the cluster")->required();
  command->add_option("--policy", options->policy, policy_help())->capture_default_str();
  command
      ->add_option("--runtime", options->runtime,
                   "What the policy knows of running times: known, noisy or unknown")
      ->check(CLI::IsMember(kKnowledge))
      ->capture_default_str();
  command
      ->add_option("--restart-cost", options->restart_cost_s,
                   "Seconds of its own time that each start costs a job")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Seed of the noise")->capture_default_str();
  command->add_option("-o,--output", options->output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  command->add_option("--schedule", options->schedule, "Write a line a round: round job job ...");
  command->callback([options, &exit_code] {
    const Result<> done = simulate(*options);
    exit_code = done ? 0 : report(done.error());
  });
}

}  // namespace berth::cli
