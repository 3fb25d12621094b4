#pragma once

#include "cli/globals.h"

namespace CLI {
class App;
}

namespace berth::cli {

/// `berth advise running`. `globals` and `exit_code` outlive the parse.
void add_advise_running(CLI::App& advise, const Globals& globals, int& exit_code);

}  // namespace berth::cli
