#include "gateway/metrics.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

namespace berth::gateway {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

constexpr std::array kCatalogue = {
    Metric{"berth_build_info", MetricType::kGauge, "version", "Always 1; the version is a label"},
    Metric{"berth_gateway_connections", MetricType::kGauge, "", "Clients that are connected"},
    Metric{"berth_gateway_in_flight_requests", MetricType::kGauge, "model",
           "Requests that a server is answering"},
    Metric{
        "berth_gateway_objective_requests_total", MetricType::kCounter, "model,result",
        "Requests inside and outside the model's objective; what was refused or failed is outside"},
    Metric{"berth_gateway_ready_replicas", MetricType::kGauge, "model",
           "Servers that answer their health check"},
    Metric{"berth_gateway_refused_total", MetricType::kCounter, "model,reason",
           "Requests turned away: queue_full, deadline, queue_limit, start_limit, no_replica"},
    Metric{"berth_gateway_rejected_total", MetricType::kCounter, "reason",
           "Requests that were nobody's: bad_request, no_key, no_model, not_found, "
           "too_many_connections"},
    Metric{"berth_gateway_replicas", MetricType::kGauge, "model", "Servers that are known"},
    Metric{"berth_gateway_request_duration_seconds", MetricType::kHistogram, "model",
           "From the last byte of the request to the end of the answer"},
    Metric{"berth_gateway_requests_total", MetricType::kCounter, "tenant,model,outcome",
           "Accepted requests that ended: answered, refused, failed, passed_error, cancelled"},
    Metric{"berth_gateway_responses_total", MetricType::kCounter, "model,code",
           "Answers by HTTP status; 499: the client had left"},
    Metric{"berth_gateway_retries_total", MetricType::kCounter, "model",
           "Requests that were asked of another server, as nothing had come of one"},
    Metric{"berth_gateway_time_in_queue_seconds", MetricType::kHistogram, "model",
           "Until a server was chosen"},
    Metric{"berth_gateway_time_per_output_token_seconds", MetricType::kHistogram, "model",
           "Mean gap between the tokens of a streamed answer"},
    Metric{"berth_gateway_time_to_first_token_seconds", MetricType::kHistogram, "model",
           "Until the first byte of the answer"},
    Metric{"berth_gateway_tokens_total", MetricType::kCounter, "tenant,model,direction",
           "Tokens, input and output, as the servers count them, or else counted here"},
    Metric{"berth_gateway_waiting_requests", MetricType::kGauge, "model",
           "Requests that wait for their turn or for a server"},
};

/// The families of one scrape.
class Scrape {
 public:
  void set(std::string_view name, double value, const Labels& labels = {}) {
    prometheus::ClientMetric& metric = add(name, labels);
    metric.gauge.value = value;
    metric.counter.value = value;
  }

  void set(std::string_view name, const Histogram& histogram, const Labels& labels) {
    prometheus::ClientMetric::Histogram& out = add(name, labels).histogram;
    uint64_t cumulative = 0;
    for (size_t i = 0; i < histogram.counts().size(); ++i) {
      cumulative += histogram.counts()[i];
      out.bucket.push_back({cumulative, i < Histogram::kBounds.size()
                                            ? Histogram::kBounds[i]
                                            : std::numeric_limits<double>::infinity()});
    }
    out.sample_count = cumulative;
    out.sample_sum = histogram.sum();
  }

  std::string text() const {
    std::vector<prometheus::MetricFamily> families;
    for (const auto& [name, family] : families_) families.push_back(family);
    return prometheus::TextSerializer().Serialize(families);
  }

 private:
  prometheus::ClientMetric& add(std::string_view name, const Labels& labels) {
    prometheus::MetricFamily& family = families_[std::string(name)];
    if (family.name.empty()) {
      const auto* row = std::ranges::find(kCatalogue, name, &Metric::name);
      family.name = name;
      family.help = row->help;
      family.type = row->type == MetricType::kGauge     ? prometheus::MetricType::Gauge
                    : row->type == MetricType::kCounter ? prometheus::MetricType::Counter
                                                        : prometheus::MetricType::Histogram;
    }
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    for (const auto& [key, value] : labels) metric.label.push_back({key, value});
    return metric;
  }

  std::map<std::string, prometheus::MetricFamily> families_;
};

void add_model(Scrape& scrape, const Traffic::Model& model) {
  const Labels labels{{"model", model.name}};
  const core::ModelDispatcher& dispatcher = model.dispatcher;
  scrape.set("berth_gateway_in_flight_requests", dispatcher.in_flight(), labels);
  scrape.set("berth_gateway_waiting_requests", static_cast<double>(dispatcher.waiting()), labels);
  scrape.set("berth_gateway_ready_replicas", dispatcher.ready_replicas(), labels);
  scrape.set("berth_gateway_replicas",
             static_cast<double>(std::ranges::count_if(
                 model.replicas, [](const auto& replica) { return replica != nullptr; })),
             labels);
  scrape.set("berth_gateway_retries_total", static_cast<double>(model.retries), labels);
  for (const auto& [result, count] :
       {std::pair("inside", model.inside), {"outside", model.outside}})
    scrape.set("berth_gateway_objective_requests_total", static_cast<double>(count),
               {{"model", model.name}, {"result", result}});
  for (const auto& [reason, count] : model.refusals)
    scrape.set("berth_gateway_refused_total", static_cast<double>(count),
               {{"model", model.name}, {"reason", std::string(to_string(reason))}});
  for (const auto& [status, count] : model.statuses)
    scrape.set("berth_gateway_responses_total", static_cast<double>(count),
               {{"model", model.name}, {"code", std::to_string(status)}});
  scrape.set("berth_gateway_time_in_queue_seconds", model.queue_s, labels);
  scrape.set("berth_gateway_time_to_first_token_seconds", model.ttft_s, labels);
  scrape.set("berth_gateway_time_per_output_token_seconds", model.tpot_s, labels);
  scrape.set("berth_gateway_request_duration_seconds", model.duration_s, labels);
}

void add_use(Scrape& scrape, const core::TokenLedger::Key& key, const core::TenantUse& use) {
  const auto requests = [&](const char* outcome, int64_t count) {
    scrape.set("berth_gateway_requests_total", static_cast<double>(count),
               {{"tenant", key.first}, {"model", key.second}, {"outcome", outcome}});
  };
  requests("answered", use.answered);
  requests("refused", use.refused);
  requests("failed", use.failed);
  requests("passed_error", use.passed_errors);
  requests("cancelled", use.cancelled);
  const auto tokens = [&](const char* direction, int64_t count) {
    scrape.set("berth_gateway_tokens_total", static_cast<double>(count),
               {{"tenant", key.first}, {"model", key.second}, {"direction", direction}});
  };
  tokens("input", use.input_tokens);
  tokens("output", use.output_tokens);
}

std::string_view type_name(MetricType type) {
  return type == MetricType::kGauge     ? "gauge"
         : type == MetricType::kCounter ? "counter"
                                        : "histogram";
}

}  // namespace

std::span<const Metric> metric_catalogue() {
  return kCatalogue;
}

std::string metrics_page() {
  std::string page =
      "# Metrics of the gateway\n\n"
      "`GET /metrics` on the gateway's address, from this machine alone, in the Prometheus text "
      "format. This page is\nmade from the catalogue in `src/gateway/metrics.cc`: "
      "`BERTH_WRITE_DOCS=1 build/debug/unit_gateway` writes it anew.\n\n"
      "| metric | type | labels | what |\n|---|---|---|---|\n";
  for (const Metric& metric : kCatalogue)
    page +=
        fmt::format("| `{}` | {} | {} | {} |\n", metric.name, type_name(metric.type),
                    metric.labels.empty() ? "" : fmt::format("`{}`", metric.labels), metric.help);
  return page;
}

std::string metrics_text(const ProxyShared& shared, std::string_view build) {
  Scrape scrape;
  scrape.set("berth_build_info", 1, {{"version", std::string(build)}});
  scrape.set("berth_gateway_connections", static_cast<double>(shared.connections.load()));
  for (size_t i = 0; i < kRejectedNames.size(); ++i)
    scrape.set("berth_gateway_rejected_total", static_cast<double>(shared.rejected[i].load()),
               {{"reason", std::string(kRejectedNames[i])}});
  shared.traffic->inspect([&scrape](const auto& models, const core::TokenLedger& ledger) {
    for (const auto& [name, model] : models) add_model(scrape, *model);
    for (const auto& [key, use] : ledger.rows()) add_use(scrape, key, use);
  });
  return scrape.text();
}

}  // namespace berth::gateway
