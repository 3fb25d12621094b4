#pragma once

#include "cli/globals.h"

namespace CLI {
class App;
}

namespace berth::cli {

/// Each function adds one command to `root`. When the command was the one asked for, its callback
/// sets `exit_code`: 0 done, 1 it failed, 2 the input was wrong. `globals` and `exit_code` outlive
/// the parse. A new command is one file beside this one, one line here and one in `src/main.cc`.
void add_advise(CLI::App& root, const Globals& globals, int& exit_code);
void add_apply(CLI::App& root, const Globals& globals, int& exit_code);
void add_completion(CLI::App& root, int& exit_code);
void add_cost(CLI::App& root, const Globals& globals, int& exit_code);
void add_delete(CLI::App& root, const Globals& globals, int& exit_code);
void add_describe(CLI::App& root, const Globals& globals, int& exit_code);
void add_explain(CLI::App& root, const Globals& globals, int& exit_code);
void add_get(CLI::App& root, const Globals& globals, int& exit_code);
void add_key(CLI::App& root, const Globals& globals, int& exit_code);
void add_load(CLI::App& root, int& exit_code);
void add_logs(CLI::App& root, const Globals& globals, int& exit_code);
void add_plan(CLI::App& root, int& exit_code);
void add_profile(CLI::App& root, int& exit_code);
void add_queue(CLI::App& root, const Globals& globals, int& exit_code);
void add_replay(CLI::App& root, int& exit_code);
void add_run(CLI::App& root, const Globals& globals, int& exit_code);
void add_scale(CLI::App& root, const Globals& globals, int& exit_code);
void add_simulate(CLI::App& root, int& exit_code);
void add_status(CLI::App& root, const Globals& globals, int& exit_code);
void add_top(CLI::App& root, const Globals& globals, int& exit_code);
void add_tune(CLI::App& root, int& exit_code);
void add_user(CLI::App& root, const Globals& globals, int& exit_code);
void add_version(CLI::App& root, const Globals& globals, int& exit_code);

}  // namespace berth::cli
