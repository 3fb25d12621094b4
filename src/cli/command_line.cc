#include "cli/command_line.h"

#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/text.h"

namespace berth::cli {

std::string unknown_command(const CLI::App& root, int argc, const char* const* argv) {
  std::vector<std::string> names;
  for (const CLI::App* command : root.get_subcommands(nullptr))
    names.push_back(command->get_name());
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with('-')) {
      const CLI::Option* option = root.get_option_no_throw(std::string(word));
      if (option != nullptr && option->get_items_expected_max() > 0) ++i;
      continue;
    }
    const std::vector<std::string_view> known(names.begin(), names.end());
    for (const std::string_view name : known) {
      if (name == word) return {};
    }
    const std::string_view meant = closest(word, known);
    return fmt::format("unknown command `{}`; {}", word,
                       meant.empty() ? "`berth --help` lists the commands"
                                     : fmt::format("did you mean `{}`?", meant));
  }
  return {};
}

}  // namespace berth::cli
