#include "simulation/cluster/cluster.h"

#include <functional>
#include <memory>
#include <span>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "base/text.h"
#include "cli/simulate/against.h"
#include "cli/simulate/cluster_figures.h"
#include "cli/simulate/commands.h"
#include "cli/simulate/report/cluster_report.h"
#include "cli/simulate/runs.h"
#include "core/placement/placer.h"
#include "traces/cluster/cluster.h"

namespace berth::cli {
namespace {

struct Options {
  std::string nodes;
  std::string tasks;
  std::string against;
  std::string queues;
  std::string swf_processor = "cpu";
  std::vector<std::string> policies = {"berth"};
  std::string seeds = "1";
  bool resample = false;
  bool predict = false;
  std::string failures;
  std::string repair = "1h";
  std::string output = "table";
  std::string report;
  std::string schedule;
};

constexpr std::string_view kExamples =
    "A node table has the columns name (or sn), cpu_milli, memory_mib, gpu, and may have model, "
    "rack.\nA job table has job, submit_s, runtime_s, gpus, and may have cpu_milli, memory_mib, "
    "gpu_milli, gpu_spec,\nmembers, queue, owner, estimate_s, priority, preemptible, checkpoint_s. "
    "openb, Helios, Philly and SWF\ntraces are read as published; the format is told by the "
    "content.\n\nExamples:\n"
    "  berth simulate --nodes nodes.csv --tasks jobs.csv\n"
    "  berth simulate --nodes nodes.csv --tasks jobs.csv --policy berth,first-fit --resample "
    "--seeds 1..10 --report r.html\n"
    "  berth simulate --against ~/.local/share/berth/journal --policy berth,spread --report "
    "r.html\n"
    "  berth simulate --nodes nodes.csv --tasks log.swf --failures 720h --seeds 1..5 -o json\n";

Result<Duration> positive(const std::string& text, const std::string& option) {
  const auto duration = parse_duration(text);
  if (!duration || duration->ns <= 0)
    return fail(ErrorCode::kInvalid, fmt::format("`{}` is not a duration above 0", text), option,
                "write 720h or 30m");
  return *duration;
}

Result<SimulatedWork> read_work(const Options& options) {
  if (!options.against.empty()) {
    for (const auto& [name, value] :
         {std::pair("--nodes", &options.nodes), std::pair("--tasks", &options.tasks),
          std::pair("--queues", &options.queues)})
      if (!value->empty())
        return fail(ErrorCode::kInvalid, "the journal has its own nodes, tasks and queues", name,
                    "leave it out, or leave out --against");
    if (options.resample)
      return fail(ErrorCode::kInvalid, "a journal is what happened: it is not resampled",
                  "--resample", "leave it out");
    return work_of_journal(options.against);
  }
  if (options.nodes.empty() || options.tasks.empty())
    return fail(ErrorCode::kInvalid, "there is nothing to simulate", "--nodes, --tasks",
                "give a node table and a job trace, or a journal with --against, or name a "
                "benchmark: see `berth simulate --help`");
  BERTH_TRY(const std::string node_text, read_text_file(options.nodes));
  BERTH_TRY(const std::string task_text, read_text_file(options.tasks));
  BERTH_TRY(const auto nodes, traces::read_cluster_nodes(node_text, options.nodes));
  BERTH_TRY(const auto jobs,
            traces::read_cluster_jobs(task_text, options.tasks,
                                      options.swf_processor == "gpu" ? traces::SwfProcessor::kGpu
                                                                     : traces::SwfProcessor::kCpu));
  std::vector<traces::ClusterQueue> queues;
  if (!options.queues.empty()) {
    BERTH_TRY(const std::string text, read_text_file(options.queues));
    BERTH_TRY(queues, traces::read_cluster_queues(text, options.queues));
  }
  SimulatedWork work;
  BERTH_TRY(work.workload, simulation::make_workload(nodes, jobs, queues));
  return work;
}

/// `NAME[+decay=24h][+consolidate][+rounds=10m]`, everything else as in `policy`.
Result<core::PolicySet> policy_of(const std::string& text, core::PolicySet policy) {
  policy.usage_half_life = {};
  policy.consolidate = false;
  policy.rounds = {};
  const std::vector<std::string_view> parts = split(text, '+');
  const std::string name(parts.front());
  policy.profile = name;
  for (std::string_view option : std::span(parts).subspan(1)) {
    if (option == "consolidate") {
      policy.consolidate = true;
      continue;
    }
    if (option.starts_with("rounds=")) {
      policy.rounds.policy = "berth";
      BERTH_TRY(policy.rounds.length, positive(std::string(option.substr(7)), "--policy"));
      continue;
    }
    if (!option.starts_with("decay="))
      return fail(ErrorCode::kInvalid, fmt::format("`{}` is no option of a policy", option),
                  "--policy",
                  "write for example berth+decay=24h, berth+consolidate or berth+rounds=10m");
    BERTH_TRY(policy.usage_half_life, positive(std::string(option.substr(6)), "--policy"));
  }
  if (core::make_placer(name, 0) == nullptr) {
    std::string known;
    for (std::string_view profile : core::placement_profiles())
      known += (known.empty() ? "" : ", ") + std::string(profile);
    return fail(ErrorCode::kInvalid, fmt::format("unknown placement policy `{}`", name), "--policy",
                "choose one of " + known);
  }
  return policy;
}

Result<> simulate(const Options& options) {
  BERTH_TRY(const SimulatedWork work, read_work(options));
  const simulation::Workload& workload = work.workload;
  BERTH_TRY(const std::vector<uint64_t> seeds, parse_seeds(options.seeds));
  simulation::Failures failures;
  if (!options.failures.empty()) {
    BERTH_TRY(failures.between, positive(options.failures, "--failures"));
    BERTH_TRY(failures.repair, positive(options.repair, "--repair"));
  }
  const Stopwatch clock;
  std::vector<ClusterOutcome> outcomes;
  std::string schedule = "policy,seed,job,queue,submit_s,start_s,end_s,starts,lost_s\n";
  if (work.past) {
    outcomes.push_back(*work.past);
    schedule += schedule_lines("recorded", 0, workload, work.past->by_seed.front().second);
  }
  for (const std::string& name : options.policies) {
    BERTH_TRY(const core::PolicySet policy, policy_of(name, work.policy));
    ClusterOutcome outcome{name, {}};
    for (uint64_t seed : seeds) {
      const simulation::Workload drawn =
          options.resample ? simulation::resampled(workload, seed) : workload;
      BERTH_TRY(simulation::ClusterResult result,
                simulation::run_cluster(
                    {&drawn, policy, seed, failures, 200, options.predict, work.horizon}, clock));
      if (!options.schedule.empty()) schedule += schedule_lines(name, seed, drawn, result);
      outcome.by_seed.emplace_back(seed, std::move(result));
    }
    outcomes.push_back(std::move(outcome));
  }
  if (!options.schedule.empty()) BERTH_CHECK(write_text_file(options.schedule, schedule));
  const auto page = [&] { return cluster_report(workload, outcomes, work.note); };
  if (!options.report.empty()) BERTH_CHECK(write_text_file(options.report, page()));
  if (options.output == "html")
    fmt::print("{}", page());
  else if (options.output == "json") {
    JsonObject document = cluster_json(workload, outcomes);
    if (!work.note.empty()) document["note"] = work.note;
    fmt::print("{}\n", boost::json::serialize(document));
  } else if (options.output == "csv")
    fmt::print("{}", cluster_csv(outcomes));
  else
    fmt::print("{}{}{}", cluster_table(outcomes), work.note, work.note.empty() ? "" : "\n");
  return {};
}

}  // namespace

void add_simulate_cluster(CLI::App& command, int& exit_code) {
  auto options = std::make_shared<Options>();
  command.add_option("--nodes", options->nodes, "Node table")->type_name("FILE");
  command
      .add_option("--tasks", options->tasks,
                  "Job trace: Berth's job table, openb, Helios, Philly or SWF")
      ->type_name("FILE");
  command
      .add_option("--against", options->against,
                  "Instead of tables: a journal folder of `berth serve`, or one file of it; what "
                  "happened stands beside what would have happened under each policy")
      ->type_name("JOURNAL");
  command
      .add_option("--queues", options->queues,
                  "Queue table: queue[,parent,weight,guaranteed_gpus,limit_gpus]; without it "
                  "every queue that a job names, with equal weights")
      ->type_name("FILE");
  command
      .add_option("--swf-processor", options->swf_processor,
                  "What a processor of an SWF trace is: cpu or gpu")
      ->type_name("PROCESSOR")
      ->check(CLI::IsMember({"cpu", "gpu"}))
      ->capture_default_str();
  command
      .add_option(
          "--policy", options->policies,
          "Placement policies, to be compared side by side (docs/policies.md); with +decay=24h "
          "what queues borrowed counts against them, half as much each day; "
          "with +consolidate restartable jobs (those with checkpoint_s) are moved for one "
          "that they keep from starting; with +rounds=10m they take turns")
      ->type_name("POLICY")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--seeds", options->seeds, "Seeds: 1..10 or 1,2,3")
      ->type_name("SEEDS")
      ->capture_default_str();
  command.add_flag("--resample", options->resample,
                   "For each seed, draw as many jobs and gaps between them with replacement");
  command.add_flag("--predict", options->predict,
                   "Predict the start of each job that is the first of its queue to wait, from how "
                   "long its owners' earlier jobs took, and count how often the intervals hold");
  command
      .add_option("--failures", options->failures,
                  "Mean time between failures of a node, for example 720h; none fails without")
      ->type_name("DURATION");
  command.add_option("--repair", options->repair, "Mean time until it is back")
      ->type_name("DURATION")
      ->capture_default_str();
  command.add_option("-o,--output", options->output, "table, json, csv or html")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json", "csv", "html"}))
      ->capture_default_str();
  command
      .add_option("--report", options->report,
                  "Also write an HTML file with plots and a map of the nodes over time")
      ->type_name("FILE");
  command
      .add_option("--schedule", options->schedule,
                  "Also write a CSV file with a line a job: when it started, ended, what it lost")
      ->type_name("FILE");
  command.footer(std::string(kExamples));
  command.callback([options, &command, &exit_code] {
    if (!command.get_subcommands().empty()) return;
    exit_code = report(simulate(*options));
  });
}

}  // namespace berth::cli
