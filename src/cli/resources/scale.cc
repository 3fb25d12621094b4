#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/output/print.h"
#include "cli/resources/kinds.h"
#include "cli/server/api.h"

namespace berth::cli {
namespace {

struct ScaleOptions {
  std::vector<std::string> words;
  int64_t replicas = 0;
};

Result<> run(const Globals& globals, const ScaleOptions& options) {
  BERTH_TRY(const Api api, Api::open(globals));
  BERTH_TRY(const std::vector<Subject> subjects, parse_subjects(api.registry(), options.words));
  for (const Subject& subject : subjects) {
    if (subject.name.empty()) {
      return fail(ErrorCode::kInvalid, "no name was given", "", "for example `deploy/web`");
    }
    const std::string target = Api::path(*subject.kind, api.ns(), subject.name);
    if (subject.kind->find_subresource("scale") != nullptr) {
      BERTH_TRY(const Json scaled,
                api.patch(target + "/scale",
                          JsonObject{{"spec", JsonObject{{"replicas", options.replicas}}}}));
    } else if (subject.kind->plural == "jobs") {
      BERTH_TRY(
          const Json scaled,
          api.patch(target, JsonObject{{"spec", JsonObject{{"parallelism", options.replicas}}}}));
    } else {
      return fail(ErrorCode::kInvalid, fmt::format("{} cannot be scaled", subject.kind->plural), "",
                  "deployments, replicasets and jobs can");
    }
    fmt::print("{} scaled\n",
               resource_name(subject.kind->group, subject.kind->singular, subject.name));
  }
  return {};
}

}  // namespace

void add_scale(CLI::App& root, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<ScaleOptions>();
  auto* command = root.add_subcommand("scale", "Set how many pods a workload has");
  command->add_option("KIND", options->words, "`deploy/web`, `job/sweep` (its parallelism)")
      ->type_name("")
      ->required();
  command->add_option("--replicas", options->replicas, "How many")
      ->type_name("COUNT")
      ->required()
      ->check(CLI::Range(0, INT32_MAX));
  command->footer(
      "Examples:\n"
      "  berth scale deploy/web --replicas 3\n"
      "  berth scale job/sweep --replicas 0");
  command->callback(
      [&globals, &exit_code, options] { exit_code = exit_code_of(run(globals, *options)); });
}

}  // namespace berth::cli
