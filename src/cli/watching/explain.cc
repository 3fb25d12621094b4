#include <memory>
#include <set>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/output/explanation.h"
#include "cli/output/print.h"
#include "cli/server/api.h"
#include "cli/watching/pods_of.h"
#include "objects/json_text.h"

namespace berth::cli {
namespace {

struct ExplainOptions {
  std::vector<std::string> words;
  std::string output;
};

Result<> run(const Globals& globals, const ExplainOptions& options) {
  BERTH_TRY(const Format format, parse_format(options.output));
  BERTH_TRY(const Api api, Api::open(globals));
  BERTH_TRY(const std::vector<Subject> subjects, parse_subjects(api.registry(), options.words));
  const bool colour = stdout_has_colour();
  bool first = true;
  for (const Subject& subject : subjects) {
    if (subject.name.empty()) {
      return fail(ErrorCode::kInvalid, "no name was given", "", "for example `pod web-0`");
    }
    BERTH_TRY(const std::vector<Json> pods,
              pods_of(api, fmt::format("{}/{}", kind_name(*subject.kind), subject.name)));
    const std::string_view kind = subject.kind->singular;
    const bool of_itself =
        kind == "modelservice" || kind == "deployment" || kind == "replicaset" || kind == "job";
    if (of_itself && format != Format::kJson) {
      BERTH_TRY(const Json object, api.get(Api::path(*subject.kind, api.ns(), subject.name)));
      const Explanation explanation =
          kind == "modelservice" ? explain_model_service(object) : explain_workload(kind, object);
      if (!std::exchange(first, false)) fmt::print("\n");
      fmt::print("{}\n{}", explanation.heading, explanation.body);
    } else if (pods.empty()) {
      fmt::print("{} has no pods: `berth describe {}/{}` says why\n", subject.name,
                 subject.kind->singular, subject.name);
    }
    // The members of a gang wait for the same things: said once.
    std::set<std::string> said;
    for (const Json& pod : pods) {
      BERTH_TRY(const Json answer, api.get(fmt::format("/berth/v1/explain/namespaces/{}/pods/{}",
                                                       escape(objects::namespace_of(pod)),
                                                       escape(objects::name_of(pod)))));
      if (format == Format::kJson) {
        fmt::print("{}\n", objects::pretty_json(answer));
        continue;
      }
      const Explanation explanation = explain_pod(pod, answer, colour);
      if (!said.insert(explanation.body).second) {
        fmt::print("{}   (the same)\n", explanation.heading);
        continue;
      }
      if (!std::exchange(first, false)) fmt::print("\n");
      fmt::print("{}\n{}", explanation.heading, explanation.body);
    }
  }
  return {};
}

}  // namespace

void add_explain(CLI::App& root, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<ExplainOptions>();
  auto* command = root.add_subcommand(
      "explain", "Say why something waits, what would let it start, and who is next");
  command->add_option("KIND", options->words, "`pod web-0`, `job/train`, `modelservice/chat`")
      ->type_name("")
      ->required();
  command->add_option("-o,--output", options->output, "`json`: what the server says, as it is")
      ->type_name("FORMAT");
  command->footer(
      "Examples:\n"
      "  berth explain pod web-0\n"
      "  berth explain job/train");
  command->callback(
      [&globals, &exit_code, options] { exit_code = exit_code_of(run(globals, *options)); });
}

}  // namespace berth::cli
