#pragma once

namespace CLI {
class App;
}

namespace berth {
class Clock;
}

namespace berth::cli {
struct Globals;
}

namespace berth::app {

/// Adds `berth gateway` to `root`; exit codes as in `cli/commands.h`.
void add_gateway(CLI::App& root, const cli::Globals& globals, const Clock& clock, int& exit_code);

}  // namespace berth::app
