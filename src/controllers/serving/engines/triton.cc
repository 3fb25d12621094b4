#include <string>

#include "controllers/serving/engines/engines.h"

namespace berth::controllers {
namespace {

/// The model is a model repository. On SIGTERM Triton ends what it is answering, for as long as it
/// is told here.
std::vector<std::string> command(const EngineInput& input) {
  std::vector<std::string> words = input.command;
  if (words.empty()) words = {"tritonserver"};
  words.insert(words.end(),
               {"--model-repository=" + input.model, "--http-port=" + std::to_string(input.port),
                "--metrics-port=8002", "--exit-timeout-secs=60"});
  words.insert(words.end(), input.args.begin(), input.args.end());
  return words;
}

}  // namespace

const Engine kTriton = {
    .kind = "triton",
    .port = 8000,
    .health_path = "/v2/health/ready",
    .metrics_port = 8002,
    .busy_metrics = {"nv_inference_pending_request_count"},
    .command = &command,
    .drains_itself = true,
};

}  // namespace berth::controllers
