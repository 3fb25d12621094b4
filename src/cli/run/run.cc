#include <filesystem>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/output/print.h"
#include "cli/run/attended.h"
#include "cli/run/run_pod.h"
#include "cli/server/api.h"

extern char** environ;

namespace berth::cli {
namespace {

RunSite site_of_caller() {
  RunSite site;
  site.uid = ::getuid();
  site.gid = ::getgid();
  std::vector<gid_t> groups(static_cast<size_t>(std::max(0, ::getgroups(0, nullptr))));
  if (::getgroups(static_cast<int>(groups.size()), groups.data()) >= 0) {
    site.groups.assign(groups.begin(), groups.end());
  }
  std::error_code error;
  site.folder = std::filesystem::current_path(error).string();
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string_view::npos) {
      site.environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return site;
}

/// What this machine calls its GPUs; NVIDIA's name where it has none or cannot be asked.
std::string gpu_resource(const Api& api) {
  const Result<std::vector<Json>> nodes = api.list(api.kind("", "nodes"), "");
  std::string found;
  if (!nodes) return "nvidia.com/gpu";
  for (const Json& node : *nodes) {
    for (const auto& [name, amount] : objects::find_object(node, {"status", "allocatable"})) {
      if (name == "nvidia.com/gpu") return "nvidia.com/gpu";
      if (std::string_view(name).ends_with("/gpu")) found = name;
    }
  }
  return found.empty() ? "nvidia.com/gpu" : found;
}

/// What is piped in would be lost silently.
void warn_of_input() {
  struct stat input{};
  if (::fstat(STDIN_FILENO, &input) == 0 && (S_ISFIFO(input.st_mode) || S_ISREG(input.st_mode)))
    fmt::print(stderr, "warning: standard input is not passed on; let the command read a file\n");
}

Result<int> run(const Globals& globals, const RunOptions& options) {
  if (!options.detach) hold_interrupts();
  BERTH_TRY(Endpoint endpoint, find_local_endpoint(globals, SearchPath::of_this_user()));
  const Api api(std::move(endpoint));
  RunSite site = site_of_caller();
  if (site.folder.empty()) {
    return fail(ErrorCode::kInvalid, "the current folder is gone", "", "change to one that exists");
  }
  if (!options.gpus.empty()) site.gpu_resource = gpu_resource(api);
  BERTH_TRY(const Json wanted, run_pod(options, site));
  const objects::Kind& pods = api.kind("", "pods");
  BERTH_TRY(const Json pod,
            api.create(Api::path(pods, api.ns()) + "?fieldValidation=Strict", wanted));
  warn_of_input();
  const std::string name(objects::name_of(pod));
  if (options.detach) {
    fmt::print("{}\n", name);
    fmt::print(stderr, "`berth logs -f {}` shows its output, `berth delete pod {}` stops it\n",
               name, name);
    return 0;
  }
  const int exit_code = attend(api, pod);
  if (exit_code == 0 && !options.keep) {
    const Result<Json> removed = api.remove(Api::path(pods, api.ns(), name), JsonObject{});
    if (!removed && removed.error().code != ErrorCode::kNotFound) print_error(removed.error());
  }
  return exit_code;
}

}  // namespace

void add_run(CLI::App& root, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<RunOptions>();
  auto* command = root.add_subcommand(
      "run", "Run a command here, as you, when it is its turn: no YAML, no image");
  command->add_option("COMMAND", options->command, "After --: the command and its arguments")
      ->type_name("")
      ->required();
  command->add_option("--gpus", options->gpus, "How many, or a share of one such as 0.5")
      ->type_name("AMOUNT");
  command->add_option("--cpus", options->cpus, "How many CPUs, such as 8 or 500m")
      ->type_name("QUANTITY");
  command->add_option("--mem", options->memory, "How much memory, such as 16Gi")
      ->type_name("QUANTITY");
  command
      ->add_option("--time", options->time,
                   "It is told to stop (SIGTERM) after this long, such as 2h, and killed 30 s "
                   "later; short work finds room sooner")
      ->type_name("DURATION");
  command->add_option("--queue", options->queue, "Whose share it uses (default: your own)")
      ->type_name("QUEUE");
  command->add_option("--name", options->name, "Of its pod (default: from the command)")
      ->type_name("NAME");
  command
      ->add_option("--image", options->image,
                   "`host` (default): the software of this machine; or a container image")
      ->type_name("IMAGE");
  command->add_option("--env", options->env, "NAME=VALUE, or NAME to pass on what it is here")
      ->type_name("NAME=VALUE");
  command->add_option("--mount", options->mounts, "Another folder that it may write to")
      ->type_name("DIR");
  command->add_flag("-d,--detach", options->detach, "Print its name and return");
  command->add_flag("--keep", options->keep, "Keep its record and logs after success");
  command->footer(
      "The command runs in this folder, which it may write to, and sees nobody else's. Its exit\n"
      "code is passed on; its standard input is empty. Ctrl-C stops it, a second one kills it. "
      "While it waits, stderr says "
      "why.\n"
      "Secrets among your variables are not passed on unless named with --env.\n\n"
      "Examples:\n"
      "  berth run --gpus 1 --mem 16Gi --time 2h -- python train.py\n"
      "  berth run --gpus 0.5 -- python serve.py\n"
      "  berth run -d --cpus 8 --queue batch -- make -j8");
  command->callback([&globals, &exit_code, options] {
    const Result<int> done = run(globals, *options);
    exit_code = done ? *done : print_error(done.error());
  });
}

}  // namespace berth::cli
