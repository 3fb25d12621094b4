#include <string>

#include "controllers/serving/engines/engines.h"

namespace berth::controllers {
namespace {

std::vector<std::string> command(const EngineInput& input) {
  std::vector<std::string> words = input.command;
  if (words.empty()) words = {"vllm", "serve"};
  constexpr std::string_view kHub = "hf://";
  const bool fetched = input.model.starts_with(kHub);
  words.insert(
      words.end(),
      {fetched ? input.model.substr(kHub.size()) : input.model, "--served-model-name", input.name,
       "--host", "0.0.0.0", "--port", std::to_string(input.port), "--max-model-len",
       std::to_string(input.context_tokens), "--max-num-seqs", std::to_string(input.sequences)});
  if (input.devices > 1)
    words.insert(words.end(), {"--tensor-parallel-size", std::to_string(input.devices)});
  words.insert(words.end(), input.args.begin(), input.args.end());
  return words;
}

}  // namespace

const Engine kVllm = {
    .kind = "vllm",
    .port = 8000,
    .busy_metrics = {"vllm:num_requests_running", "vllm:num_requests_waiting"},
    .command = &command,
};

}  // namespace berth::controllers
