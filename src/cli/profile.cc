#include <algorithm>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/serving/take.h"
#include "cli/simulate/commands.h"
#include "documents/profile_document.h"
#include "objects/json_text.h"
#include "objects/yaml.h"
#include "simulation/serving/fit.h"
#include "simulation/serving/replay.h"
#include "traces/serving/kernel_profile.h"
#include "traces/serving/request_log.h"

namespace berth::cli {
namespace {

struct FitOptions {
  std::string kernels, requests, take, engine, output, name;
  int layers = 0;
};

/// Transformer layers of models whose name does not tell; the first fragment that a name holds.
struct KnownModel {
  std::string_view fragment;
  int layers;
};
constexpr KnownModel kKnownModels[] = {
    {"Llama-3.2-1B", 16},  {"Llama-3.2-3B", 28},  {"Llama-3.1-8B", 32},    {"Llama-3-8B", 32},
    {"Llama-3.1-70B", 80}, {"Llama-3.3-70B", 80}, {"Llama-3.1-405B", 126}, {"Llama-2-7b", 32},
    {"Llama-2-13b", 40},   {"Llama-2-70b", 80},   {"Mistral-7B", 32},      {"Qwen2.5-7B", 28},
    {"Qwen2.5-14B", 48},   {"Qwen2.5-32B", 64},   {"Qwen2.5-72B", 80},     {"Qwen3-8B", 36},
    {"Qwen3-14B", 40},     {"Qwen3-32B", 64},     {"gemma-2-9b", 42},      {"Phi-3-mini", 32},
};

int layers_of(const std::string& model) {
  for (const KnownModel& known : kKnownModels)
    if (model.find(known.fragment) != std::string::npos) return known.layers;
  return 0;
}

/// What the engine's own record says: its limits, the model and the GPU.
Result<core::ServingProfile> read_engine(const std::string& path) {
  BERTH_TRY(const std::string text, read_text_file(path));
  auto parsed = objects::parse_json(text);
  if (!parsed)
    return fail(ErrorCode::kInvalid, parsed.error().what, path + ":" + parsed.error().where,
                "give the engine's record as JSON");
  const Json& meta = parsed->value;
  core::ServingProfile profile;
  core::BatchingLimits& limits = profile.limits;
  profile.engine = fmt::format("vllm {}", objects::find_string(meta, {"vllm_version"}, "?"));
  profile.model = objects::find_string(meta, {"model"});
  profile.accelerator = objects::find_string(meta, {"hardware", "device_name"});
  const auto positive = [&](std::initializer_list<std::string_view> keys, int fallback) {
    const int64_t value = objects::find_int(meta, keys, fallback);
    return value >= 1 && value <= 1'000'000'000 ? static_cast<int>(value) : fallback;
  };
  limits.max_sequences = positive({"engine_kwargs", "max_num_seqs"}, limits.max_sequences);
  limits.max_batched_tokens =
      positive({"engine_kwargs", "max_num_batched_tokens"}, limits.max_batched_tokens);
  limits.block_tokens = positive({"kv_cache", "block_size"}, limits.block_tokens);
  limits.kv_blocks = positive({"kv_cache", "num_gpu_blocks"}, 0);
  limits.prefix_caching = objects::find_bool(meta, {"kv_cache", "enable_prefix_caching"}, true);
  if (objects::find(meta, {"engine_kwargs"}) == nullptr)
    return fail(ErrorCode::kInvalid, "no `engine_kwargs`", path,
                "give the record that holds max_num_seqs and max_num_batched_tokens");
  return profile;
}

Result<core::KernelCost> read_kernels(const std::string& folder, int layers,
                                      std::string& hardware) {
  BERTH_TRY(const std::string dense, read_text_file(folder + "/dense.csv"));
  BERTH_TRY(const std::string sequences, read_text_file(folder + "/per_sequence.csv"));
  BERTH_TRY(const std::string attention, read_text_file(folder + "/attention.csv"));
  double skew = 0;
  if (const auto text = read_text_file(folder + "/meta.yaml")) {
    BERTH_TRY(const auto documents, objects::parse_yaml(*text, folder + "/meta.yaml"));
    if (!documents.empty()) {
      const Json& meta = documents[0].value;
      if (hardware.empty()) hardware = objects::find_string(meta, {"gpu"});
      const Json* fitted = objects::find(meta, {"skew_fit", "per_tp", "1", "alpha_default"});
      if (fitted != nullptr && fitted->is_number()) skew = fitted->to_number<double>();
    }
  }
  return traces::parse_kernel_profile({.dense = {dense, folder + "/dense.csv"},
                                       .per_sequence = {sequences, folder + "/per_sequence.csv"},
                                       .attention = {attention, folder + "/attention.csv"}},
                                      layers, skew);
}

Result<> fit_to_requests(const FitOptions& options, core::ServingProfile& profile) {
  BERTH_TRY(const std::string text, read_text_file(options.requests));
  BERTH_TRY(const auto requests, traces::parse_request_log(text, options.requests));
  BERTH_TRY(const simulation::Take take, parse_take(options.take, requests.size()));
  BERTH_TRY(const simulation::Fit fit, simulation::fit_linear_cost(profile.limits, requests, take));
  profile.cost = fit.cost;
  fmt::print(stderr, "Fitted to {} requests: error {:.1f}% (root mean square), {} replays.\n",
             take.last - take.first, 100 * fit.error, fit.evaluations);
  return {};
}

std::string default_name(const core::ServingProfile& profile) {
  std::string name;
  for (char c : profile.model + "-" + profile.accelerator)
    name += std::isalnum(static_cast<unsigned char>(c)) != 0
                ? static_cast<char>(std::tolower(static_cast<unsigned char>(c)))
                : '-';
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? "profile" : name;
}

Result<> fit(const FitOptions& options) {
  if (options.kernels.empty() == options.requests.empty())
    return fail(ErrorCode::kInvalid, "give either --kernels or --requests", "berth profile fit",
                "fit from kernel measurements, or from a run's requests");
  BERTH_TRY(core::ServingProfile profile, read_engine(options.engine));
  if (!options.kernels.empty()) {
    const int layers = options.layers > 0 ? options.layers : layers_of(profile.model);
    if (layers <= 0)
      return fail(ErrorCode::kInvalid,
                  fmt::format("how many layers `{}` has is not known", profile.model), "--layers",
                  "give the model's num_hidden_layers");
    BERTH_TRY(profile.cost, read_kernels(options.kernels, layers, profile.accelerator));
  } else {
    BERTH_CHECK(fit_to_requests(options, profile));
  }
  const std::string name = options.name.empty() ? default_name(profile) : options.name;
  const std::string yaml = objects::to_yaml(documents::profile_to_document(profile, name));
  if (!options.output.empty()) return write_text_file(options.output, yaml);
  fmt::print("{}", yaml);
  return {};
}

}  // namespace

void add_profile(CLI::App& root, int& exit_code) {
  auto* profile = root.add_subcommand("profile", "How fast a model runs on an accelerator");
  profile->require_subcommand(1);
  profile->footer(
      "Example:\n  berth profile fit --requests run.jsonl --engine meta.json -o profile.yaml");
  auto options = std::make_shared<FitOptions>();
  auto* command = profile->add_subcommand(
      "fit", "Fit a ServingProfile to kernel measurements or to a run's requests");
  command->add_option("--kernels", options->kernels,
                      "Folder with dense.csv, attention.csv and per_sequence.csv");
  command->add_option("--requests", options->requests, "A run's requests, one JSON object a line");
  command->add_option("--take", options->take,
                      "Fit to rows A..B (A to B-1, from 0) only; the others are load, and what was "
                      "measured of them is not looked at");
  command->add_option("--engine", options->engine, "The engine's record of its settings, meta.json")
      ->required();
  command->add_option("--layers", options->layers, "Transformer layers; known for common models")
      ->check(CLI::Range(1, 10'000));
  command->add_option("--name", options->name, "Name of the profile");
  command->add_option("-o,--output", options->output,
                      "Write the profile here, not to the terminal");
  command->footer(
      "Examples:\n"
      "  berth profile fit --kernels profiles/H100/Llama-3.1-8B --engine meta.json -o "
      "profile.yaml\n"
      "  berth profile fit --requests run.jsonl --take 0..150 --engine meta.json -o profile.yaml");
  command->callback([options, &exit_code] { exit_code = report(fit(*options)); });
}

}  // namespace berth::cli
