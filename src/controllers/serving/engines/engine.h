#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace berth::controllers {

/// What an engine is asked to serve, inside its container.
struct EngineInput {
  std::string model;                 ///< path of a file or folder, or `hf://organisation/name`
  std::string name;                  ///< that requests ask for
  std::vector<std::string> command;  ///< the user's program in place of the engine's; may be empty
  std::vector<std::string> args;     ///< the user's, after the engine's own
  int64_t port = 0;
  int64_t context_tokens = 0;  ///< of one sequence
  int64_t sequences = 0;       ///< at once
  int64_t devices = 0;         ///< whole ones that a replica has
};

/// How one LLM engine is started, asked and stopped. To add one: a file beside this one that
/// defines it, and a row in registry.cc.
struct Engine {
  std::string_view kind;                     ///< as in `spec.engine.kind`
  int64_t port = 8080;                       ///< where it answers, unless the user says otherwise
  std::string_view health_path = "/health";  ///< 200 once the model is loaded
  std::string_view metrics_path = "/metrics";
  int64_t metrics_port = 0;  ///< 0: the same port
  /// Metrics whose sum is the number of requests in the engine; empty: it does not say.
  std::vector<std::string_view> busy_metrics;
  std::vector<std::string> (*command)(const EngineInput& input) = nullptr;
  /// Does it end what it is answering before it exits on SIGTERM?
  bool drains_itself = false;
};

/// Null for a kind that is not there.
const Engine* find_engine(std::string_view kind);

}  // namespace berth::controllers
