#include "cli/scaling/advise_running.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <thread>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/output/amounts.h"
#include "cli/output/print.h"
#include "cli/resources/kinds.h"
#include "cli/scaling/running.h"
#include "cli/server/api.h"
#include "core/cost/focus.h"

namespace berth::cli {
namespace {

constexpr const char* kStrategicPatch = "application/strategic-merge-patch+json";

struct Options {
  std::vector<std::string> words;
  bool all_namespaces = false, apply = false;
  std::string window = "2m", output = "table";
  double percentile = 95, headroom = 15;
};

/// What came of applying: what was done, or why not.
struct Applied {
  std::string text;
  bool failed = false;
};

std::string title(const RunningWorkload& workload) {
  std::string kind = workload.kind;
  std::ranges::transform(kind, kind.begin(),
                         [](unsigned char each) { return static_cast<char>(std::tolower(each)); });
  return kind + "/" + workload.name;
}

std::string verdict_text(core::SizeVerdict verdict, bool idle) {
  if (idle) return "idle";
  switch (verdict) {
    case core::SizeVerdict::kUnknown:
      return "too little measured";
    case core::SizeVerdict::kFits:
      return "fits";
    case core::SizeVerdict::kTooLarge:
      return "too large";
    case core::SizeVerdict::kTooSmall:
      return "too small";
    case core::SizeVerdict::kNoRequest:
      return "no request";
  }
  return {};
}

Quantity cpu_amount(int64_t milli) {
  return Quantity::from_milli(milli);
}

/// Samples until the window is over; says so on stderr.
Result<UsageHistory> measure(const Api& api, const Clock& clock, const std::string& ns,
                             Duration window) {
  const bool watched = ::isatty(STDERR_FILENO) == 1;
  if (!watched) fmt::print(stderr, "measuring for {}\n", format_duration(window));
  UsageHistory history;
  const Time begin = clock.now();
  while (true) {
    BERTH_TRY(const std::vector<Json> pods, api.list(api.kind("metrics.k8s.io", "pods"), ns));
    history.take(pods);
    const Duration passed = clock.now() - begin;
    if (watched)
      fmt::print(stderr, "\rmeasuring: {:.0f} of {:.0f} s, {} samples ",
                 std::min(passed, window).to_seconds(), window.to_seconds(), history.samples());
    if (passed >= window) break;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  if (watched) fmt::print(stderr, "\n");
  return history;
}

/// Nodes and costs are not for everybody to see: without them nothing has a price.
Result<Surroundings> look_around(const Api& api, const std::string& ns, Time now, Json& currency) {
  Surroundings around;
  BERTH_TRY(around.pods, api.list(api.kind("", "pods"), ns));
  BERTH_TRY(around.replica_sets, api.list(api.kind("apps", "replicasets"), ns));
  BERTH_TRY(around.deployments, api.list(api.kind("apps", "deployments"), ns));
  auto nodes = api.list(api.kind("", "nodes"), "");
  const auto costs =
      api.get(fmt::format("/berth/v1/cost?by=queue&from={}&to={}",
                          format_micro_time(now - Duration::seconds(1)), format_micro_time(now)));
  if (nodes) around.nodes = *std::move(nodes);
  around.prices = JsonObject{};
  currency = "";
  if (costs) {
    around.prices = objects::find_object(*costs, {"pricesMicro"});
    currency = objects::find_string(*costs, {"currency"});
  }
  return around;
}

/// Those asked for; all where none are.
Result<> choose(const Api& api, const std::vector<Subject>& subjects,
                std::vector<RunningWorkload>& workloads) {
  if (subjects.empty()) return {};
  const auto is = [](const RunningWorkload& workload, const Subject& subject) {
    return workload.kind == subject.kind->kind &&
           (subject.name.empty() || workload.name == subject.name);
  };
  for (const Subject& subject : subjects)
    if (std::ranges::none_of(workloads, [&](const auto& each) { return is(each, subject); }))
      return fail(ErrorCode::kInvalid, fmt::format("no pods of it run in namespace {}", api.ns()),
                  resource_name(subject.kind->group, subject.kind->singular, subject.name),
                  "name what owns them, as `berth advise running` without names shows it");
  std::erase_if(workloads, [&](const RunningWorkload& workload) {
    return std::ranges::none_of(subjects,
                                [&](const Subject& subject) { return is(workload, subject); });
  });
  return {};
}

Applied resize_pods(const Api& api, const RunningWorkload& workload) {
  const Json change{{"spec", JsonObject{{"containers", advised_containers(workload)}}}};
  size_t resized = 0;
  for (const Json& pod : workload.pods) {
    if (objects::find_string(pod, {"status", "qosClass"}) == "BestEffort")
      return {
          "not applied: pods without any request cannot get one while they run; set it in "
          "their manifest",
          true};
    const auto done =
        api.patch(Api::path(api.kind("", "pods"), workload.ns, objects::name_of(pod), "resize"),
                  change, kStrategicPatch);
    if (!done)
      return {fmt::format("{} of {} pods resized; then: {}", resized, workload.pods.size(),
                          done.error().to_string()),
              true};
    ++resized;
  }
  return {fmt::format("{} pod{} resized in place{}", resized, resized == 1 ? "" : "s",
                      workload.kind == "Pod" ? "" : "; those to come are as its template says"),
          false};
}

std::optional<Applied> apply(const Api& api, const RunningWorkload& workload) {
  if (!workload.changes()) return std::nullopt;
  if (workload.kind == "ModelService")
    return Applied{
        "not applied: its memory is worked out from the model; set `resources` of its "
        "variants in the manifest",
        true};
  if (workload.kind != "Deployment") return resize_pods(api, workload);
  const auto done = api.patch(
      Api::path(api.kind("apps", "deployments"), workload.ns, workload.name),
      JsonObject{
          {"spec", JsonObject{{"template",
                               JsonObject{{"spec", JsonObject{{"containers",
                                                               advised_containers(workload)}}}}}}}},
      kStrategicPatch);
  if (!done) return Applied{done.error().to_string(), true};
  return Applied{"template changed: its pods are replaced as its strategy says", false};
}

void print_table(const Options& options, const std::vector<RunningWorkload>& workloads,
                 const Json& currency) {
  const bool priced = currency != "";
  std::vector<std::string> titles = {
      "WORKLOAD",
      "PODS",
      "CONTAINER",
      "RESOURCE",
      "REQUEST",
      "USED",
      "ADVISED",
      "VERDICT",
      priced ? fmt::format("SAVES {}/H", currency.get_string().c_str()) : "SAVES/H"};
  if (options.all_namespaces) titles.insert(titles.begin(), "NAMESPACE");
  TextTable table(titles);
  Money saves;
  for (const RunningWorkload& workload : workloads) {
    saves = saves + workload.saves;
    bool first = true;
    for (const RunningContainer& container : workload.containers) {
      const auto add = [&](const std::string& resource, const core::SizeAdvice& advice,
                           int64_t request, Money saved, const auto& text) {
        std::vector<std::string> cells = {
            first ? title(workload) : "",
            first ? fmt::format("{}", workload.pods.size()) : "",
            container.name,
            resource,
            request == 0 ? "-" : text(request),
            container.size.samples == 0 ? "-" : text(advice.used),
            advice.advised == 0 ? "-" : text(advice.advised),
            verdict_text(advice.verdict, workload.idle && resource == "cpu"),
            priced ? core::format_money(saved) : "-"};
        if (options.all_namespaces) cells.insert(cells.begin(), first ? workload.ns : "");
        table.add(std::move(cells));
        first = false;
      };
      add("cpu", container.size.cpu, container.request.cpu_milli, container.cpu_saves,
          [](int64_t milli) { return fmt::format("{}m", milli); });
      add("memory", container.size.memory, container.request.memory_bytes, container.memory_saves,
          [](int64_t bytes) { return short_amount("memory", Quantity::from_bytes(bytes)); });
    }
  }
  fmt::print("{}", table.to_string());
  if (priced)
    fmt::print("As advised, {} {} an hour less.\n", core::format_money(saves),
               currency.get_string().c_str());
  for (const RunningWorkload& workload : workloads) {
    if (!workload.idle) continue;
    fmt::print("{} was idle: `berth {} -n {}` stops it{}\n", title(workload),
               workload.kind == "Deployment" ? fmt::format("scale {} --replicas 0", title(workload))
                                             : fmt::format("delete {}", title(workload)),
               workload.ns,
               workload.stop_saves > Money{} ? fmt::format(", which saves {} an hour",
                                                           core::format_money(workload.stop_saves))
                                             : std::string());
  }
}

JsonObject to_json(const core::SizeAdvice& advice, int64_t request, Money saves, bool idle,
                   Quantity (*amount)(int64_t)) {
  return {{"request", amount(request).to_string()},
          {"used", amount(advice.used).to_string()},
          {"advised", amount(advice.advised).to_string()},
          {"verdict", verdict_text(advice.verdict, idle)},
          {"saves_per_hour_micro", saves.micro}};
}

Json to_json(const RunningWorkload& workload, const std::optional<Applied>& applied) {
  JsonArray containers;
  for (const RunningContainer& each : workload.containers)
    containers.push_back(JsonObject{
        {"name", each.name},
        {"samples", each.size.samples},
        {"measured_s", each.size.measured.to_seconds()},
        {"cpu",
         to_json(each.size.cpu, each.request.cpu_milli, each.cpu_saves, workload.idle, cpu_amount)},
        {"memory", to_json(each.size.memory, each.request.memory_bytes, each.memory_saves, false,
                           Quantity::from_bytes)}});
  JsonObject json{{"namespace", workload.ns},
                  {"kind", workload.kind},
                  {"name", workload.name},
                  {"pods", workload.pods.size()},
                  {"idle", workload.idle},
                  {"containers", std::move(containers)},
                  {"saves_per_hour_micro", workload.saves.micro},
                  {"stop_saves_per_hour_micro", workload.stop_saves.micro}};
  if (applied) {
    json["applied"] = !applied->failed;
    json["applied_message"] = applied->text;
  }
  return json;
}

Result<> run(const Globals& globals, const Options& options) {
  const auto window = parse_duration(options.window);
  if (!window || *window < Duration::seconds(20) || *window > Duration::hours(24))
    return fail(ErrorCode::kInvalid, fmt::format("`{}` is no span from 20s to 24h", options.window),
                "--window", "write 2m, or as long as the load takes to come round");
  core::RightSizeRule rule;
  rule.percentile = options.percentile / 100;
  rule.headroom = options.headroom / 100;
  BERTH_TRY(const Api api, Api::open(globals));
  std::vector<Subject> subjects;
  if (!options.words.empty()) {
    BERTH_TRY(subjects, parse_subjects(api.registry(), options.words));
  }
  const std::string ns = options.all_namespaces ? "" : api.ns();
  Json currency;
  // A wrong name is told before it is measured.
  BERTH_TRY(Surroundings around, look_around(api, ns, globals.clock->now(), currency));
  std::vector<RunningWorkload> workloads = right_size(around, {}, rule);
  BERTH_CHECK(choose(api, subjects, workloads));
  BERTH_TRY(const UsageHistory history, measure(api, *globals.clock, ns, *window));
  BERTH_TRY(around, look_around(api, ns, globals.clock->now(), currency));
  workloads = right_size(around, history, rule);
  BERTH_CHECK(choose(api, subjects, workloads));

  const bool table = options.output == "table";
  if (table && workloads.empty()) fmt::print(stderr, "No pods run.\n");
  if (table && !workloads.empty()) print_table(options, workloads, currency);
  JsonArray rows;
  size_t failed = 0;
  for (const RunningWorkload& workload : workloads) {
    const auto applied = options.apply ? apply(api, workload) : std::nullopt;
    if (applied && applied->failed) ++failed;
    if (applied && table) fmt::print("{}: {}\n", title(workload), applied->text);
    rows.push_back(to_json(workload, applied));
  }
  if (!table)
    fmt::print("{}\n", boost::json::serialize(JsonObject{{"percentile", options.percentile},
                                                         {"headroom", options.headroom},
                                                         {"currency", currency},
                                                         {"workloads", std::move(rows)}}));
  if (failed > 0)
    return fail(ErrorCode::kUnavailable, fmt::format("{} not applied as a whole", failed), "",
                "see what was said of each; the rest was applied");
  return {};
}

}  // namespace

void add_advise_running(CLI::App& advise, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<Options>();
  auto* command = advise.add_subcommand(
      "running", "Whether the requests of what runs fit what it uses: measures, advises, applies");
  command
      ->add_option("WORKLOAD", options->words,
                   "`deploy/web`, `job/train`, `pod/x` (default: all of the namespace)")
      ->type_name("");
  command->add_flag("-A,--all-namespaces", options->all_namespaces, "In every namespace");
  command->add_option("--window", options->window, "How long to measure, 20s to 24h")
      ->type_name("DURATION")
      ->capture_default_str();
  command->add_option("--percentile", options->percentile, "Of CPU use that is to fit, in percent")
      ->type_name("PERCENT")
      ->check(CLI::Range(1.0, 100.0))
      ->capture_default_str();
  command->add_option("--headroom", options->headroom, "Over what was used, in percent")
      ->type_name("PERCENT")
      ->check(CLI::Range(0.0, 400.0))
      ->capture_default_str();
  command->add_flag("--apply", options->apply,
                    "Change what does not fit: a Deployment's template (its pods are replaced as "
                    "its strategy says), else the pods themselves, in place");
  command->add_option("-o,--output", options->output, "table or json")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  command->footer(
      "CPU goes by the percentile, memory by its peak; at least 3 samples over 30 s (the server\n"
      "takes one each 10 s). Measure while there is load. Limits keep their ratio to requests.\n"
      "Examples:\n"
      "  berth advise running --window 10m\n"
      "  berth advise running deploy/web --apply");
  command->callback(
      [options, &globals, &exit_code] { exit_code = exit_code_of(run(globals, *options)); });
}

}  // namespace berth::cli
