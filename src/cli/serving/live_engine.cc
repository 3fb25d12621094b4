#include "cli/serving/live_engine.h"

#include <algorithm>
#include <charconv>
#include <future>
#include <memory>

#include <fmt/format.h>

#include "base/text.h"
#include "objects/json.h"
#include "objects/json_text.h"
#include "platform/http/client.h"

namespace berth::cli {
namespace {

constexpr double kPause_s = 1;  ///< between two parts, in the log

/// The body of a page, empty where there is no such page.
Result<std::string> page(platform::HttpClient& client, const LoadTarget& target,
                         std::string_view path) {
  std::string base = target.url.path;
  if (base.ends_with("/v1")) base.resize(base.size() - 3);
  platform::HttpRequest request{
      .method = "GET", .target = base + std::string(path), .headers = {}, .body = {}, .peer = {}};
  if (!target.key.empty()) request.headers.add("Authorization", "Bearer " + target.key);
  std::promise<Result<platform::HttpResponse>> done;
  client.request(target.url.endpoint, std::move(request), Duration::seconds(10),
                 [&](Result<platform::HttpResponse> answer) { done.set_value(std::move(answer)); });
  BERTH_TRY(platform::HttpResponse answer, done.get_future().get());
  return answer.status == 200 ? std::move(answer.body) : std::string();
}

/// The value of a label of vLLM's `vllm:cache_config_info`; 0 where it is no number.
int label(std::string_view line, std::string_view name) {
  const std::string begin = fmt::format("{}=\"", name);
  const size_t at = line.find(begin);
  int value = 0;
  if (at != std::string_view::npos)
    std::from_chars(line.data() + at + begin.size(), line.data() + line.size(), value);
  return std::max(0, value);
}

/// One part of the load: its requests as a log that begins at `from_s`.
Result<std::vector<traces::ServedRequest>> part(const LoadTarget& target, const LoadShape& shape,
                                                size_t clients, uint64_t seed, double from_s) {
  BERTH_TRY(const std::vector<RequestOutcome> outcomes,
            run_load(target, LoadPlan(shape, {}, seed), clients, shape.duration_s, seed,
                     [](const LoadProgress&) {}));
  std::vector<traces::ServedRequest> requests;
  for (const RequestOutcome& outcome : outcomes) {
    if (!outcome.error.empty())
      return fail(
          ErrorCode::kUnavailable,
          fmt::format("a request for `{}` was not answered: {}", target.model, outcome.error),
          target.url.endpoint.host,
          "check --model, --key and that prompts and answers fit the engine's context "
          "(--input-tokens, --output-tokens)");
    if (outcome.input_tokens < 1 || outcome.output_tokens < 1 || !outcome.ttft_s)
      return fail(ErrorCode::kInvalid, "the answers do not tell their tokens (`usage`)",
                  target.url.endpoint.host,
                  "ask an engine that knows stream_options.include_usage");
    const double sent_s = from_s + outcome.sent_s;
    const double first_s = sent_s + *outcome.ttft_s;
    requests.push_back(
        {.id = {},
         .arrival_s = sent_s,
         .prompt_tokens = static_cast<int>(outcome.input_tokens),
         .output_tokens = static_cast<int>(outcome.output_tokens),
         .first_token_s = first_s,
         .last_token_s = first_s + outcome.tpot_s.value_or(0) *
                                       static_cast<double>(outcome.output_tokens - 1)});
  }
  std::ranges::sort(requests, {}, &traces::ServedRequest::arrival_s);
  return requests;
}

double end_of(const std::vector<traces::ServedRequest>& requests) {
  double end_s = 0;
  for (const traces::ServedRequest& each : requests) end_s = std::max(end_s, *each.last_token_s);
  return end_s;
}

}  // namespace

Result<bool> read_engine_of(const LoadTarget& target, core::ServingProfile& profile) {
  BERTH_TRY(const auto client,
            platform::HttpClient::create(
                {.ca_pem = {}, .certificate_pem = {}, .key_pem = {}, .verify = target.verify}));
  BERTH_TRY(const std::string props, page(*client, target, "/props"));
  bool known = false;
  if (const auto parsed = objects::parse_json(props)) {
    const int64_t slots = objects::find_int(parsed->value, {"total_slots"});
    known = slots >= 1 && slots <= 100'000;
    if (known) {
      profile.engine = "llama.cpp";
      profile.limits.max_sequences = static_cast<int>(slots);
    }
  }
  BERTH_TRY(const std::string metrics, page(*client, target, "/metrics"));
  for (const std::string_view line : split(metrics, '\n')) {
    if (!line.starts_with("vllm:cache_config_info{")) continue;
    if (profile.engine.empty()) profile.engine = "vllm";
    core::BatchingLimits& limits = profile.limits;
    if (const int blocks = label(line, "num_gpu_blocks"); blocks > 0) limits.kv_blocks = blocks;
    if (const int tokens = label(line, "block_size"); tokens > 0) limits.block_tokens = tokens;
  }
  if (profile.engine.empty()) profile.engine = "unknown";
  return known;
}

Result<std::vector<traces::ServedRequest>> probe_engine(
    const LoadTarget& target, const ProbeLoad& load,
    const std::function<void(const std::string&)>& say) {
  LoadShape shape{.arrivals = Arrivals::kClosed, .requests = 2, .input = {}, .output = {}};
  BERTH_TRY(shape.input, Length::parse("", "16"));
  BERTH_TRY(shape.output, Length::parse("", "4"));
  // What a planned token is in tokens of the engine. The first answer warms the engine up.
  BERTH_TRY(const auto warm, part(target, shape, 1, load.seed, 0));
  const double per_planned = warm.back().prompt_tokens / 16.0;

  std::vector<size_t> clients;
  for (size_t count = 1; count < load.most_clients; count *= 2) clients.push_back(count);
  clients.push_back(load.most_clients);
  const double part_s = load.duration_s / static_cast<double>(clients.size() + 2);
  shape = {.arrivals = Arrivals::kClosed,
           .duration_s = part_s,
           .input = load.input.times(1 / per_planned),
           .output = load.output};
  std::vector<traces::ServedRequest> all;
  uint64_t seed = load.seed;
  const auto add = [&](const std::string& what, size_t count) -> Result<double> {
    const double from_s = all.empty() ? 0 : end_of(all) + kPause_s;
    BERTH_TRY(const auto requests, part(target, shape, count, ++seed, from_s));
    all.insert(all.end(), requests.begin(), requests.end());
    const double rate = static_cast<double>(requests.size()) / (end_of(requests) - from_s);
    say(fmt::format("{}: {} answered, {:.2f}/s", what, requests.size(), rate));
    return rate;
  };
  double rate = 0;
  for (const size_t count : clients) {
    BERTH_TRY(rate, add(fmt::format("{} at once for {:.0f} s", count, part_s), count));
  }
  shape.arrivals = Arrivals::kPoisson;
  shape.rate_per_s = 0.6 * rate;
  shape.duration_s = 2 * part_s;
  BERTH_CHECK(add(fmt::format("{:.2f}/s for {:.0f} s", shape.rate_per_s, shape.duration_s), 0));
  return all;
}

}  // namespace berth::cli
