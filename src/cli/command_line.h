#pragma once

#include <string>

namespace CLI {
class App;
}

namespace berth::cli {

/// What to say of a command that there is not: empty where the line names one that there is, or
/// none at all. `unknown command `gte`; did you mean `get`?`
std::string unknown_command(const CLI::App& root, int argc, const char* const* argv);

}  // namespace berth::cli
