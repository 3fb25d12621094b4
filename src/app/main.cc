#include <CLI/CLI.hpp>

#include "cli/commands.h"

int main(int argc, char** argv) {
  CLI::App root{
      "Berth decides who gets the machine: it schedules, isolates, scales and bills LLM work.",
      "berth"};
  root.require_subcommand(1);
  root.set_help_all_flag("--help-all", "Print the help of every command");
  int exit_code = 1;

  berth::cli::add_plan(root, exit_code);
  berth::cli::add_version(root, exit_code);
  berth::cli::add_simulate(root, exit_code);

  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = root.exit(error);
    return status == 0 ? 0 : 2;
  }
  return exit_code;
}
