#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/gateway.h"
#include "app/image_shelf.h"
#include "app/serve.h"
#include "app/system_clock.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/images/image_shelf.h"

int main(int argc, char** argv) {
  CLI::App root{
      "Berth decides who gets the machine: it schedules, isolates, scales and bills LLM work.",
      "berth"};
  root.require_subcommand(1);
  root.set_help_all_flag("--help-all", "Print the help of every command");
  root.fallthrough();
  root.failure_message([](const CLI::App* app, const CLI::Error& error) {
    return "error: " + CLI::FailureMessage::simple(app, error);
  });
  root.footer(
      "Exit codes: 0 done; 1 it could not be done now, also because an object is not there;\n"
      "2 the command line or a file is wrong, and nothing was changed.");
  int exit_code = 1;
  const berth::app::SystemClock clock;
  berth::cli::Globals globals;
  globals.clock = &clock;
  berth::cli::add_globals(root, globals);

  berth::cli::add_advise(root, globals, exit_code);
  berth::cli::add_apply(root, globals, exit_code);
  berth::cli::add_completion(root, exit_code);
  berth::cli::add_cost(root, globals, exit_code);
  berth::cli::add_delete(root, globals, exit_code);
  berth::cli::add_describe(root, globals, exit_code);
  berth::cli::add_explain(root, globals, exit_code);
  berth::app::add_gateway(root, globals, clock, exit_code);
  berth::cli::add_get(root, globals, exit_code);
  berth::cli::add_image(root, berth::app::image_shelf_opener(clock), clock, exit_code);
  berth::cli::add_key(root, globals, exit_code);
  berth::cli::add_load(root, exit_code);
  berth::cli::add_logs(root, globals, exit_code);
  berth::cli::add_plan(root, exit_code);
  berth::cli::add_profile(root, exit_code);
  berth::cli::add_queue(root, globals, exit_code);
  berth::cli::add_replay(root, exit_code);
  berth::cli::add_run(root, globals, exit_code);
  berth::cli::add_scale(root, globals, exit_code);
  berth::app::add_serve(root, clock, exit_code);
  berth::cli::add_simulate(root, exit_code);
  berth::cli::add_status(root, globals, exit_code);
  berth::cli::add_top(root, globals, exit_code);
  berth::cli::add_tune(root, exit_code);
  berth::cli::add_user(root, globals, exit_code);
  berth::cli::add_version(root, globals, exit_code);

  if (const std::string unknown = berth::cli::unknown_command(root, argc, argv); !unknown.empty()) {
    fmt::print(stderr, "error: {}\n", unknown);
    return 2;
  }
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = root.exit(error);
    return status == 0 ? 0 : 2;
  }
  return exit_code;
}
