#pragma once

#include <string>

namespace CLI {
class App;
}

namespace berth::app {

/// `--log-level` and `--log-format`, with these defaults. Both strings outlive the parse.
void add_log_options(CLI::App& command, std::string& level, std::string& format);

/// Logs go to stderr; stdout has the one line that says where the server is.
void set_up_logs(const std::string& level, const std::string& format);

}  // namespace berth::app
