#pragma once

namespace CLI {
class App;
}

namespace berth {
class Clock;
}

namespace berth::app {

/// Adds `berth serve` to `root`; exit codes as in `cli/commands.h`.
void add_serve(CLI::App& root, const Clock& clock, int& exit_code);

}  // namespace berth::app
