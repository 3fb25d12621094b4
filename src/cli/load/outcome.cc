#include "cli/load/outcome.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/output/print.h"
#include "objects/json_text.h"

namespace berth::cli {
namespace {

Json spread_json(const std::optional<Spread>& spread) {
  if (!spread) return nullptr;
  return {{"mean", spread->mean}, {"p50", spread->p50}, {"p90", spread->p90},
          {"p95", spread->p95},   {"p99", spread->p99}, {"max", spread->max}};
}

std::string milliseconds(double seconds) {
  return seconds < 0.0995 ? fmt::format("{:.2f}ms", seconds * 1e3)
         : seconds < 9.95 ? fmt::format("{:.0f}ms", seconds * 1e3)
                          : fmt::format("{:.1f}s", seconds);
}

}  // namespace

std::optional<Spread> spread_of(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::ranges::sort(values);
  const auto count = static_cast<double>(values.size());
  const auto rank = [&](double share) {
    return values[static_cast<size_t>(std::max(1.0, std::ceil(share * count))) - 1];
  };
  return Spread{std::accumulate(values.begin(), values.end(), 0.0) / count,
                rank(0.5),
                rank(0.9),
                rank(0.95),
                rank(0.99),
                values.back()};
}

int64_t LoadSummary::failed() const {
  int64_t sum = 0;
  for (const auto& [error, count] : errors) sum += count;
  return sum;
}

LoadSummary summarise(const std::vector<RequestOutcome>& outcomes, double duration_s) {
  LoadSummary summary{.duration_s = duration_s, .ttft_s = {}, .tpot_s = {}, .e2e_s = {}};
  std::vector<double> ttft, tpot, e2e;
  for (const RequestOutcome& outcome : outcomes) {
    if (!outcome.error.empty()) {
      ++summary.errors[outcome.error];
      continue;
    }
    ++summary.ok;
    summary.input_tokens += outcome.input_tokens;
    summary.output_tokens += outcome.output_tokens;
    e2e.push_back(outcome.e2e_s);
    if (outcome.ttft_s) ttft.push_back(*outcome.ttft_s);
    if (outcome.tpot_s) tpot.push_back(*outcome.tpot_s);
  }
  summary.ttft_s = spread_of(std::move(ttft));
  summary.tpot_s = spread_of(std::move(tpot));
  summary.e2e_s = spread_of(std::move(e2e));
  return summary;
}

Json to_json(const LoadSummary& summary) {
  JsonObject errors;
  for (const auto& [error, count] : summary.errors) errors[error] = count;
  const auto rate = [&](int64_t count) {
    return summary.duration_s > 0 ? static_cast<double>(count) / summary.duration_s : 0;
  };
  return {{"requests", summary.ok + summary.failed()},
          {"ok", summary.ok},
          {"failed", summary.failed()},
          {"errors", errors},
          {"duration_s", summary.duration_s},
          {"requests_per_s", rate(summary.ok)},
          {"input_tokens", summary.input_tokens},
          {"output_tokens", summary.output_tokens},
          {"output_tokens_per_s", rate(summary.output_tokens)},
          {"ttft_s", spread_json(summary.ttft_s)},
          {"tpot_s", spread_json(summary.tpot_s)},
          {"e2e_s", spread_json(summary.e2e_s)}};
}

std::string to_table(const LoadSummary& summary) {
  const double seconds = std::max(summary.duration_s, 1e-9);
  std::string text = fmt::format(
      "{} answered, {} failed in {:.1f} s: {:.2f} requests/s, {:.1f} output tokens/s\n", summary.ok,
      summary.failed(), summary.duration_s, static_cast<double>(summary.ok) / seconds,
      static_cast<double>(summary.output_tokens) / seconds);
  for (const auto& [error, count] : summary.errors)
    text += fmt::format("  {} x {}\n", count, error);
  TextTable table({"", "MEAN", "P50", "P90", "P95", "P99", "MAX"});
  const auto row = [&table](const char* name, const std::optional<Spread>& spread) {
    if (spread)
      table.add({name, milliseconds(spread->mean), milliseconds(spread->p50),
                 milliseconds(spread->p90), milliseconds(spread->p95), milliseconds(spread->p99),
                 milliseconds(spread->max)});
  };
  row("TTFT", summary.ttft_s);
  row("TPOT", summary.tpot_s);
  row("E2E", summary.e2e_s);
  return table.empty() ? text : text + table.to_string();
}

void AnswerWatch::on_event(std::string_view event) {
  event = trim(event);
  if (!event.starts_with("data:")) return;
  const std::string_view payload = trim(event.substr(5));
  if (payload == "[DONE]") {
    done_ = true;
    return;
  }
  const bool usage = payload.find("\"usage\"") != std::string_view::npos;
  const bool error = payload.find("\"error\"") != std::string_view::npos;
  if (usage || error) {
    if (const auto parsed = objects::parse_json(payload)) {
      const Json& json = parsed->value;
      if (objects::find(json, {"error", "message"}) != nullptr)
        error_ = std::string(objects::find_string(json, {"error", "code"}, "error"));
      if (const Json* counted = objects::find(json, {"usage"}); counted && counted->is_object()) {
        input_tokens_ = objects::find_int(*counted, {"prompt_tokens"});
        output_tokens_ = objects::find_int(*counted, {"completion_tokens"});
        if (objects::find_array(json, {"choices"}).empty()) return;
      }
    }
  }
  ++events_;
}

void AnswerWatch::on_bytes(std::string_view bytes, double at_s, bool stream) {
  if (!first_s_) first_s_ = at_s;
  pending_.append(bytes);
  if (!stream) return;
  const int64_t before = events_;
  size_t begin = 0;
  for (size_t end; (end = pending_.find("\n\n", begin)) != std::string::npos; begin = end + 2)
    on_event(std::string_view(pending_).substr(begin, end - begin));
  pending_.erase(0, begin);
  if (events_ > before) last_s_ = at_s;
}

RequestOutcome AnswerWatch::finish(double sent_s, double now_s, int status,
                                   const std::string& problem, bool stream) {
  RequestOutcome outcome{.sent_s = sent_s, .e2e_s = now_s - sent_s, .ttft_s = {}, .tpot_s = {}};
  if (!problem.empty()) {
    outcome.error = problem;
  } else if (status != 200) {
    outcome.error = fmt::format("HTTP {}", status);
    if (const auto parsed = objects::parse_json(pending_))
      if (const auto code = objects::find_string(parsed->value, {"error", "code"}); !code.empty())
        outcome.error += fmt::format(" {}", code);
  } else if (!error_.empty()) {
    outcome.error = error_;
  } else if (stream && !done_) {
    outcome.error = "no [DONE] at the end";
  } else if (!stream) {
    const auto parsed = objects::parse_json(pending_);
    if (!parsed) {
      outcome.error = "no JSON";
    } else {
      outcome.input_tokens = objects::find_int(parsed->value, {"usage", "prompt_tokens"});
      outcome.output_tokens = objects::find_int(parsed->value, {"usage", "completion_tokens"});
    }
  } else {
    outcome.input_tokens = input_tokens_.value_or(0);
    outcome.output_tokens = output_tokens_.value_or(events_);
    outcome.ttft_s = first_s_.value_or(now_s) - sent_s;
    if (outcome.output_tokens > 1 && first_s_)
      outcome.tpot_s = (last_s_ - *first_s_) / static_cast<double>(outcome.output_tokens - 1);
  }
  return outcome;
}

}  // namespace berth::cli
