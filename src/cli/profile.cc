#include <algorithm>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/text.h"
#include "base/time.h"
#include "cli/commands.h"
#include "cli/serving/live_engine.h"
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
  std::string endpoint, model, key_file, accelerator, duration = "60s", extra;
  std::string input = "uniform:16..256", output_tokens = "uniform:8..64";
  int layers = 0, max_sequences = 0;
  uint64_t seed = 1;
  bool insecure = false;
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

/// A coefficient as `12.3 ms +-4%`.
std::string coefficient(double seconds, double relative_error) {
  const std::string value = seconds >= 1e-3   ? fmt::format("{:.3g} ms", 1e3 * seconds)
                            : seconds >= 1e-6 ? fmt::format("{:.3g} us", 1e6 * seconds)
                                              : fmt::format("{:.3g} ns", 1e9 * seconds);
  return relative_error < 1 ? fmt::format("{} +-{:.2g}%", value, 100 * relative_error)
                            : fmt::format("{}, which these requests hardly tell", value);
}

void explain_fit(const simulation::Fit& fit, size_t requests) {
  fmt::print(stderr, "Fitted to {} requests: error {:.1f}% (root mean square), {} replays.\n",
             requests, 100 * fit.error, fit.evaluations);
  const auto line = [&](const char* name, double core::LinearCost::* which) {
    fmt::print(stderr, "  {:<20} {}\n", name,
               coefficient(fit.cost.*which, fit.standard_error.*which));
  };
  line("an iteration", &core::LinearCost::base_s);
  line("a sequence in it", &core::LinearCost::per_sequence_s);
  line("a token in it", &core::LinearCost::per_token_s);
  line("a token of context", &core::LinearCost::per_context_token_s);
  line("a pair in a prompt", &core::LinearCost::per_prompt_pair_s);
}

Result<> fit_to_requests(const FitOptions& options, core::ServingProfile& profile) {
  BERTH_TRY(const std::string text, read_text_file(options.requests));
  BERTH_TRY(const auto requests, traces::parse_request_log(text, options.requests));
  BERTH_TRY(const simulation::Take take, parse_take(options.take, requests.size()));
  BERTH_TRY(const simulation::Fit fit, simulation::fit_linear_cost(profile.limits, requests, take));
  profile.cost = fit.cost;
  explain_fit(fit, take.last - take.first);
  return {};
}

Result<LoadTarget> live_target(const FitOptions& options) {
  BERTH_TRY(LoadTarget target,
            load_target({.url = options.endpoint, .model = options.model, .extra = options.extra}));
  target.verify = !options.insecure;
  if (!options.key_file.empty()) {
    BERTH_TRY(const std::string key, read_text_file(options.key_file));
    target.key = trim(key);
  }
  if (target.model.empty())
    return fail(ErrorCode::kInvalid, "the model is not said", "--model",
                "give the name that requests ask for");
  return target;
}

Result<> fit_to_endpoint(const FitOptions& options, core::ServingProfile& profile) {
  BERTH_TRY(const LoadTarget target, live_target(options));
  ProbeLoad load{.input = {}, .output = {}, .seed = options.seed};
  BERTH_TRY(const Duration duration, parse_duration(options.duration));
  load.duration_s = duration.to_seconds();
  if (!(load.duration_s >= 5 && load.duration_s <= 3600))
    return fail(ErrorCode::kInvalid, "not from 5 s to an hour", "--duration", "give 60s");
  BERTH_TRY(load.input, Length::parse("--input-tokens", options.input));
  BERTH_TRY(load.output, Length::parse("--output-tokens", options.output_tokens));
  BERTH_TRY(bool known, read_engine_of(target, profile));
  if (options.max_sequences > 0) profile.limits.max_sequences = options.max_sequences;
  known = known || options.max_sequences > 0 || !options.engine.empty();
  if (!known)
    fmt::print(stderr,
               "The server does not tell how many requests it answers at once: {} are assumed "
               "(--max-sequences).\n",
               profile.limits.max_sequences);
  load.most_clients = static_cast<size_t>(std::min(profile.limits.max_sequences, 32));
  BERTH_TRY(const auto requests, probe_engine(target, load, [](const std::string& done) {
              fmt::print(stderr, "{}\n", done);
            }));
  BERTH_TRY(const simulation::Fit fit,
            simulation::fit_linear_cost(profile.limits, requests, {0, requests.size()}));
  profile.cost = fit.cost;
  if (profile.model.empty()) profile.model = target.model;
  explain_fit(fit, requests.size());
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
  const int sources = static_cast<int>(!options.kernels.empty()) +
                      static_cast<int>(!options.requests.empty()) +
                      static_cast<int>(!options.endpoint.empty());
  if (sources != 1)
    return fail(ErrorCode::kInvalid, "give one of --kernels, --requests and --endpoint",
                "berth profile fit",
                "fit from kernel measurements, from a run's requests, or from a live engine");
  core::ServingProfile profile;
  profile.accelerator = options.accelerator;
  if (!options.engine.empty()) {
    BERTH_TRY(profile, read_engine(options.engine));
  } else if (options.endpoint.empty()) {
    return fail(ErrorCode::kInvalid, "what the engine's limits are is not said", "--engine",
                "give the engine's record of its settings, meta.json");
  }
  if (!options.endpoint.empty()) {
    BERTH_CHECK(fit_to_endpoint(options, profile));
  } else if (!options.kernels.empty()) {
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
      "fit", "Fit a ServingProfile to kernel measurements, a run's requests or a live engine");
  command
      ->add_option("--kernels", options->kernels,
                   "Folder with dense.csv, attention.csv and per_sequence.csv")
      ->type_name("DIR");
  command->add_option("--requests", options->requests, "A run's requests, one JSON object a line")
      ->type_name("FILE");
  command
      ->add_option("--take", options->take,
                   "Fit to rows A..B (A to B-1, from 0) only; the others are load, and what was "
                   "measured of them is not looked at")
      ->type_name("A..B");
  command
      ->add_option("--engine", options->engine,
                   "The engine's record of its settings, meta.json; a live engine may do without")
      ->type_name("FILE");
  command
      ->add_option("--endpoint", options->endpoint,
                   "http://HOST:PORT of one live replica (OpenAI API): it is put under load")
      ->type_name("URL");
  command->add_option("--model", options->model, "Model to ask the live engine for")
      ->type_name("MODEL");
  command
      ->add_option("--key-file", options->key_file,
                   "File with the live engine's key (default: $OPENAI_API_KEY)")
      ->type_name("FILE");
  command->add_option("--duration", options->duration, "Of the load on the live engine, in all")
      ->type_name("DURATION")
      ->capture_default_str();
  command
      ->add_option("--input-tokens", options->input,
                   "Of the load's prompts, as of `berth load`; like those to come")
      ->type_name("LENGTHS")
      ->capture_default_str();
  command->add_option("--output-tokens", options->output_tokens, "The same, of its answers")
      ->type_name("LENGTHS")
      ->capture_default_str();
  command
      ->add_option("--max-sequences", options->max_sequences,
                   "How many requests the live engine answers at once, where it does not tell")
      ->type_name("COUNT")
      ->check(CLI::Range(1, 100'000));
  command->add_option("--accelerator", options->accelerator, "What the live engine runs on")
      ->type_name("NAME");
  command
      ->add_option("--extra", options->extra,
                   R"(Fields of each request, such as '{"ignore_eos":true}')")
      ->type_name("JSON");
  command->add_option("--seed", options->seed, "Of the load's lengths, texts and arrivals")
      ->type_name("SEED")
      ->capture_default_str();
  command->add_flag("--insecure", options->insecure, "Take any certificate");
  command->add_option("--layers", options->layers, "Transformer layers; known for common models")
      ->type_name("COUNT")
      ->check(CLI::Range(1, 10'000));
  command->add_option("--name", options->name, "Name of the profile")->type_name("NAME");
  command->add_option("-o,--output", options->output, "Write the profile here, not to the terminal")
      ->type_name("FILE");
  command->footer(
      "Examples:\n"
      "  berth profile fit --kernels profiles/H100/Llama-3.1-8B --engine meta.json -o "
      "profile.yaml\n"
      "  berth profile fit --requests run.jsonl --take 0..150 --engine meta.json -o profile.yaml\n"
      "  berth profile fit --endpoint http://127.0.0.1:8000 --model harbour -o profile.yaml");
  command->callback([options, &exit_code] { exit_code = report(fit(*options)); });
}

}  // namespace berth::cli
