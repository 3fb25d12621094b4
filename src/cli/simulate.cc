#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "cli/simulate/commands.h"

namespace berth::cli {

void add_simulate(CLI::App& root, int& exit_code) {
  auto* command = root.add_subcommand(
      "simulate", "Run the scheduler in virtual time, on public traces or your own");
  command->require_subcommand(0, 1);
  add_simulate_cluster(*command, exit_code);
  add_simulate_openb(*command, exit_code);
  add_simulate_training_queue(*command, exit_code);
  add_simulate_serving(*command, exit_code);
  add_simulate_fleet(*command, exit_code);
}

}  // namespace berth::cli
