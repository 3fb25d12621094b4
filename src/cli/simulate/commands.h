#pragma once

#include <string>

#include "base/error.h"

namespace CLI {
class App;
}

namespace berth::cli {

/// `berth simulate` itself: a cluster of one's own.
void add_simulate_cluster(CLI::App& simulate, int& exit_code);
/// The benchmarks under `berth simulate`. Exit codes as in `cli/commands.h`.
void add_simulate_openb(CLI::App& simulate, int& exit_code);
void add_simulate_training_queue(CLI::App& simulate, int& exit_code);
void add_simulate_serving(CLI::App& simulate, int& exit_code);
void add_simulate_fleet(CLI::App& simulate, int& exit_code);

/// The content of a file of at most 1 GiB; the error says how to fix the path.
Result<std::string> read_text_file(const std::string& path);
Result<> write_text_file(const std::string& path, const std::string& text);
/// The exit code of a benchmark that ended so; an error is printed.
int report(const Result<>& done);

}  // namespace berth::cli
