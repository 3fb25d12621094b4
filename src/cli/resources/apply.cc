#include <cstdio>
#include <memory>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/output/print.h"
#include "cli/resources/manifests.h"
#include "cli/resources/three_way.h"
#include "cli/server/api.h"
#include "objects/patch.h"

namespace berth::cli {
namespace {

struct ApplyOptions {
  std::vector<std::string> places;
  bool dry_run = false;
  std::string output;
};

constexpr int kConflictRetries = 5;

class Apply {
 public:
  Apply(const Api& api, bool dry_run)
      : api_(api),
        parameters_(std::string("?fieldManager=berth&fieldValidation=Strict") +
                    (dry_run ? "&dryRun=All" : "")) {}

  /// What happened: `created`, `configured` or `unchanged`.
  Result<std::string_view> run(const Manifest& manifest) const {
    Json wanted = manifest.object;
    set_last_applied(wanted);
    const std::string_view ns = objects::namespace_of(wanted);
    const std::string target = Api::path(*manifest.kind, ns, objects::name_of(wanted));
    for (int attempt = 0;; ++attempt) {
      BERTH_TRY(const std::optional<Json> live, api_.find(target));
      Result<std::string_view> done =
          live ? change(*manifest.kind, target, *live, wanted)
               : create(Api::path(*manifest.kind, ns) + parameters_, wanted);
      const bool raced = !done && (done.error().code == ErrorCode::kConflict ||
                                   done.error().code == ErrorCode::kAlreadyExists);
      if (!raced || attempt == kConflictRetries) return done;
    }
  }

 private:
  Result<std::string_view> create(const std::string& target, const Json& wanted) const {
    BERTH_TRY(const Json made, api_.create(target, wanted));
    return "created";
  }

  Result<std::string_view> change(const objects::Kind& kind, const std::string& target,
                                  const Json& live, const Json& wanted) const {
    BERTH_TRY(const Json result, three_way(kind, last_applied(live), live, wanted));
    Json patch = objects::merge_patch_between(live, result);
    if (patch.is_object() && patch.get_object().empty()) return "unchanged";
    // The result holds only for the version that it was made from.
    objects::ensure_object(patch, {"metadata"})["resourceVersion"] =
        objects::resource_version_of(live);
    BERTH_TRY(const Json changed, api_.patch(target + parameters_, patch));
    return objects::resource_version_of(changed) == objects::resource_version_of(live)
               ? "unchanged"
               : "configured";
  }

  const Api& api_;
  const std::string parameters_;
};

int run(const Globals& globals, const ApplyOptions& options) {
  const Result<Format> format = parse_format(options.output);
  if (!format) return print_error(format.error());
  const std::unique_ptr<objects::Registry> registry = objects::Registry::built_in();
  Manifests manifests = load_manifests(*registry, options.places);
  if (!manifests.errors.empty()) return report_all(manifests.errors);

  const Result<Api> api = Api::open(globals);
  if (!api) return print_error(api.error());
  for (Manifest& manifest : manifests.items) {
    const Result<> placed = set_namespace(manifest, globals.ns, api->ns());
    if (!placed) return print_error(placed.error());
  }
  const Apply apply(*api, options.dry_run);
  int exit_code = 0;
  for (const Manifest& manifest : manifests.items) {
    const Result<std::string_view> done = apply.run(manifest);
    const std::string name = resource_name(manifest.kind->group, manifest.kind->singular,
                                           objects::name_of(manifest.object));
    if (!done) {
      fmt::print(stderr, "error: {}: {}\n", name, done.error().to_string());
      exit_code = 1;
    } else if (*format == Format::kName) {
      fmt::print("{}\n", name);
    } else {
      fmt::print("{} {}{}\n", name, *done, options.dry_run ? " (dry run)" : "");
    }
    std::fflush(stdout);
  }
  return exit_code;
}

}  // namespace

void add_apply(CLI::App& root, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<ApplyOptions>();
  auto* command = root.add_subcommand("apply", "Make objects be as manifests say");
  command->add_option("-f,--filename", options->places, "File, folder, or - for standard input")
      ->type_name("PATH")
      ->required();
  command->add_flag("--dry-run", options->dry_run, "Let the server check it, but change nothing");
  command->add_option("-o,--output", options->output, "`name`: print only the names")
      ->type_name("FORMAT");
  command->footer(
      "All manifests are checked first; when one is wrong, every error is listed with its place\n"
      "and nothing is changed (exit code 2).\n\n"
      "Examples:\n"
      "  berth apply -f pod.yaml\n"
      "  berth apply -f examples/training/\n"
      "  generate | berth apply -f -");
  command->callback([&globals, &exit_code, options] { exit_code = run(globals, *options); });
}

}  // namespace berth::cli
