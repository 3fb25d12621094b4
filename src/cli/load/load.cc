#include <cstdio>
#include <fstream>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/load/runner.h"
#include "cli/output/print.h"
#include "cli/simulate/commands.h"
#include "objects/json_text.h"

namespace berth::cli {
namespace {

struct LoadOptions {
  std::string url, model, key, arrivals, trace, duration, timeout = "5m", extra, per_request;
  std::string input = "128", output_tokens = "64", output = "table";
  double rate = 0, cv = 1, speed = 1;
  int64_t requests = 0;
  size_t concurrency = 0;
  uint64_t seed = 1;
  bool chat = false, no_stream = false, insecure = false;
};

std::unexpected<Error> invalid(std::string option, std::string what, std::string fix) {
  return fail(ErrorCode::kInvalid, std::move(what), std::move(option), std::move(fix));
}

Result<LoadShape> read_shape(const LoadOptions& options) {
  LoadShape shape{.rate_per_s = options.rate,
                  .cv = options.cv,
                  .requests = options.requests,
                  .input = {},
                  .output = {},
                  .speed = options.speed};
  if (options.arrivals == "closed" || (options.arrivals.empty() && options.concurrency > 0)) {
    shape.arrivals = Arrivals::kClosed;
    if (options.concurrency == 0)
      return invalid("--concurrency", "how many clients there are is not said",
                     "give --concurrency 8");
  } else if (options.arrivals == "trace" || !options.trace.empty()) {
    shape.arrivals = Arrivals::kTrace;
    if (options.trace.empty()) return invalid("--trace", "no trace", "give --trace FILE");
  } else {
    shape.arrivals = options.arrivals == "gamma" ? Arrivals::kGamma : Arrivals::kPoisson;
    if (!(options.rate > 0 && options.rate <= 1e6))
      return invalid("--rate", "no rate", "give requests a second: --rate 5");
  }
  if (!(options.cv > 0 && options.cv <= 20))
    return invalid("--cv", "not a coefficient of variation", "give one from 0.01 to 20");
  if (!(options.speed > 0)) return invalid("--speed", "not above 0", "give 2 for half the time");
  if (!options.duration.empty()) {
    BERTH_TRY(const Duration duration, parse_duration(options.duration));
    shape.duration_s = duration.to_seconds();
  }
  if (shape.duration_s <= 0 && shape.requests <= 0 && shape.arrivals != Arrivals::kTrace)
    return invalid("--duration", "the load has no end", "give --duration 30s or --requests 100");
  BERTH_TRY(shape.input, Length::parse("--input-tokens", options.input));
  BERTH_TRY(shape.output, Length::parse("--output-tokens", options.output_tokens));
  return shape;
}

Result<LoadTarget> read_target(const LoadOptions& options) {
  BERTH_TRY(LoadTarget target, load_target({.url = options.url,
                                            .model = options.model,
                                            .key = options.key,
                                            .extra = options.extra}));
  target.chat = options.chat;
  target.stream = !options.no_stream;
  target.verify = !options.insecure;
  BERTH_TRY(target.timeout, parse_duration(options.timeout));
  return target;
}

Result<> write_per_request(const std::string& file, const std::vector<RequestOutcome>& outcomes) {
  std::ofstream out(file);
  out << "sent_s,error,ttft_s,tpot_s,e2e_s,input_tokens,output_tokens\n";
  const auto number = [](const std::optional<double>& value) {
    return value ? fmt::format("{:.6f}", *value) : std::string();
  };
  for (const RequestOutcome& one : outcomes)
    out << fmt::format("{:.6f},\"{}\",{},{},{:.6f},{},{}\n", one.sent_s, one.error,
                       number(one.ttft_s), number(one.tpot_s), one.e2e_s, one.input_tokens,
                       one.output_tokens);
  if (!out.flush()) return fail(ErrorCode::kInvalid, "cannot be written", file);
  return {};
}

void show(const LoadProgress& progress, bool terminal) {
  fmt::print(stderr, "{}{:6.0f}s  {} in flight  {} answered  {} failed  {:.1f} tokens/s{}",
             terminal ? "\r" : "", progress.elapsed_s, progress.in_flight, progress.ok,
             progress.failed,
             static_cast<double>(progress.output_tokens) / std::max(progress.elapsed_s, 1e-9),
             terminal ? "   " : "\n");
}

Result<bool> run(const LoadOptions& options) {
  BERTH_TRY(const LoadShape shape, read_shape(options));
  BERTH_TRY(const LoadTarget target, read_target(options));
  std::vector<traces::ServedRequest> trace;
  if (shape.arrivals == Arrivals::kTrace) {
    BERTH_TRY(const std::string text, read_text_file(options.trace));
    BERTH_TRY(trace, traces::parse_request_log(text, options.trace));
  }
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  double duration_s = 0;
  BERTH_TRY(
      const std::vector<RequestOutcome> outcomes,
      run_load(target, LoadPlan(shape, std::move(trace), options.seed),
               shape.arrivals == Arrivals::kClosed ? options.concurrency : 0, shape.duration_s,
               options.seed, [&](const LoadProgress& progress) { show(progress, terminal); }));
  if (terminal) fmt::print(stderr, "\r\x1b[K");
  for (const RequestOutcome& one : outcomes)
    duration_s = std::max(duration_s, one.sent_s + one.e2e_s);
  if (!options.per_request.empty()) BERTH_CHECK(write_per_request(options.per_request, outcomes));
  const LoadSummary summary = summarise(outcomes, duration_s);
  fmt::print("{}", options.output == "json" ? objects::pretty_json(to_json(summary)) + "\n"
                                            : to_table(summary));
  return summary.ok > 0 && summary.failed() == 0;
}

}  // namespace

void add_load(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<LoadOptions>();
  auto* command = root.add_subcommand(
      "load", "Put load on a served model, and measure TTFT, TPOT and throughput");
  command->add_option("URL", options->url, "http://HOST:PORT of a gateway or a server")
      ->type_name("")
      ->required();
  command->add_option("--model", options->model, "Model to ask for")
      ->type_name("MODEL")
      ->required();
  command->add_option("--key", options->key, "Key of the gateway (default: $OPENAI_API_KEY)")
      ->type_name("KEY");
  command->add_option("--arrivals", options->arrivals, "poisson (default), gamma, closed or trace")
      ->type_name("PROCESS")
      ->check(CLI::IsMember({"poisson", "gamma", "closed", "trace"}));
  command->add_option("--rate", options->rate, "Requests a second, of poisson and gamma")
      ->type_name("RATE");
  command->add_option("--cv", options->cv, "Coefficient of variation of the gaps, of gamma")
      ->type_name("CV");
  command
      ->add_option("--concurrency", options->concurrency,
                   "Clients that each wait for their answer, of closed")
      ->type_name("COUNT");
  command
      ->add_option("--trace", options->trace,
                   "Arrivals and lengths of a log: JSON lines, or CSV as the Azure traces")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command->add_option("--speed", options->speed, "Play the trace this many times as fast")
      ->type_name("FACTOR");
  command->add_option("--requests", options->requests, "End after so many")->type_name("COUNT");
  command->add_option("--duration", options->duration, "Send for so long, such as 30s")
      ->type_name("DURATION");
  command
      ->add_option("--input-tokens", options->input,
                   "128, uniform:16..256, exp:128 or lognormal:128:1.5")
      ->type_name("LENGTHS")
      ->capture_default_str();
  command->add_option("--output-tokens", options->output_tokens, "The same, asked as max_tokens")
      ->type_name("LENGTHS")
      ->capture_default_str();
  command
      ->add_option("--extra", options->extra,
                   R"(Fields of each request, such as '{"ignore_eos":true}')")
      ->type_name("JSON");
  command->add_flag("--chat", options->chat, "Ask /v1/chat/completions, not /v1/completions");
  command->add_flag("--no-stream", options->no_stream, "Ask for whole answers");
  command->add_flag("--insecure", options->insecure, "Take any certificate");
  command->add_option("--timeout", options->timeout, "Until the answer begins")
      ->type_name("DURATION")
      ->capture_default_str();
  command->add_option("--seed", options->seed, "Of arrivals, lengths and texts")
      ->type_name("SEED")
      ->capture_default_str();
  command->add_option("--per-request", options->per_request, "Write a CSV line a request here")
      ->type_name("FILE");
  command->add_option("-o,--output", options->output, "table or json")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json"}));
  command->callback([options, &exit_code] {
    const Result<bool> done = run(*options);
    exit_code = done ? (*done ? 0 : 1) : print_error(done.error());
  });
  command->footer(
      "Examples:\n"
      "  berth load http://127.0.0.1:8090 --model harbour --rate 5 --duration 30s\n"
      "  berth load http://127.0.0.1:8090 --model harbour --concurrency 8 --requests 200 -o json\n"
      "  berth load http://127.0.0.1:8090 --model harbour --trace AzureLLMInferenceTrace_conv.csv "
      "--duration 60s");
}

}  // namespace berth::cli
