#include "controllers/serving/engines/engines.h"

namespace berth::controllers {
namespace {

/// The user's own program; it finds what to serve in $MODEL_PATH, $MODEL_NAME and $PORT, which
/// `command` and `args` may name as $(PORT).
std::vector<std::string> command(const EngineInput& input) {
  std::vector<std::string> words = input.command;
  words.insert(words.end(), input.args.begin(), input.args.end());
  return words;
}

}  // namespace

const Engine kCustom = {.kind = "custom", .busy_metrics = {}, .command = &command};

}  // namespace berth::controllers
