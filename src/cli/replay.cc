#include "control/replay.h"

#include <fstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "control/journal_file.h"

namespace berth::cli {
namespace {

int replay_all(const std::string& path) {
  const auto segments = control::journal_segments(path);
  if (!segments) {
    fmt::print(stderr, "error: {}\n", segments.error().to_string());
    return 2;
  }
  size_t plans = 0;
  for (const auto& segment : *segments) {
    std::ifstream file(segment);
    const auto report = control::replay(file);
    if (!report) {
      Error error = report.error();
      error.where = segment.string() + (error.where.empty() ? "" : ": " + error.where);
      fmt::print(stderr, "error: {}\n", error.to_string());
      return 2;
    }
    plans += report->plans;
    if (report->first_difference) {
      const control::Difference& difference = *report->first_difference;
      fmt::print("{}:{}: plan {} differs (written by build {})\n  recorded {}\n  replayed {}\n",
                 segment.string(), difference.line, difference.plan, report->build,
                 difference.recorded, difference.replayed);
      return 1;
    }
  }
  fmt::print("{} decisions in {} segments: all identical\n", plans, segments->size());
  return 0;
}

}  // namespace

void add_replay(CLI::App& root, int& exit_code) {
  CLI::App* replay = root.add_subcommand("replay", "Run a journal through the decision code again");
  replay->footer(
      "Every decision must come out as it was recorded. Exit code 1: one did not, and the first\n"
      "difference is shown; 2: not a journal.\n\n"
      "Example:\n  berth replay /var/lib/berth/journal");
  auto path = std::make_shared<std::string>();
  replay->add_option("JOURNAL", *path, "A journal folder, or one file of it")
      ->type_name("")
      ->required();
  replay->callback([path, &exit_code] { exit_code = replay_all(*path); });
}

}  // namespace berth::cli
