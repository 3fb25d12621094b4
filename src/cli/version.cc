#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"

namespace berth::cli {

void add_version(CLI::App& root, int& exit_code) {
  auto* command = root.add_subcommand("version", "Print the version");
  command->callback([&exit_code] {
    fmt::print("berth 0.1.0\n");
    exit_code = 0;
  });
}

}  // namespace berth::cli
