#pragma once

namespace CLI {
class App;
}

namespace berth::cli {

/// Each function adds one command to `root`. When the command was the one asked for, its callback
/// sets `exit_code`: 0 done, 1 it failed, 2 the input was wrong. `exit_code` outlives the parse.
/// A new command is one file beside this one, one line here and one in `app/main.cc`.
void add_plan(CLI::App& root, int& exit_code);
void add_version(CLI::App& root, int& exit_code);
void add_simulate(CLI::App& root, int& exit_code);

}  // namespace berth::cli
