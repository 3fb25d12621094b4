#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "apiserver/providers.h"
#include "bridge/scheduler.h"
#include "client/informer.h"
#include "node/agent/agent.h"
#include "platform/loop_thread.h"

namespace berth::app {

enum class MetricType { kGauge, kCounter };

/// One row of the catalogue. docs/metrics.md is made of these rows; a test keeps it so.
struct Metric {
  std::string_view name;
  MetricType type;
  std::string_view labels;  ///< comma-separated; empty: none
  std::string_view help;
};

/// Everything that `/metrics` shows.
std::span<const Metric> metric_catalogue();
/// docs/metrics.md.
std::string metrics_page();

/// What Prometheus reads of this machine: made anew for each scrape from what the parts know.
class Metrics final : public apiserver::MetricsSource {
 public:
  /// All outlive this.
  Metrics(client::ApiClient& client, const node::Agent& agent, const bridge::Scheduler& scheduler,
          std::string build);

  std::string text() override;

 private:
  std::string collect() const;

  const node::Agent& agent_;
  const bridge::Scheduler& scheduler_;
  const std::string build_;
  // On the thread.
  std::unique_ptr<client::Informer> pods_;
  std::unique_ptr<client::Informer> nodes_;
  std::unique_ptr<client::Informer> queues_;
  std::unique_ptr<client::Informer> services_;
  std::unique_ptr<client::Informer> deployments_;
  platform::LoopThread thread_;  ///< last: it ends first
};

}  // namespace berth::app
