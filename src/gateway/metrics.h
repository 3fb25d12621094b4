#pragma once

#include <span>
#include <string>
#include <string_view>

#include "gateway/proxy/settings.h"

namespace berth::gateway {

enum class MetricType { kGauge, kCounter, kHistogram };

/// One row of the catalogue. docs/gateway-metrics.md is made of these rows; a test keeps it so.
struct Metric {
  std::string_view name;
  MetricType type;
  std::string_view labels;  ///< comma-separated; empty: none
  std::string_view help;
};

/// Everything that the gateway's `/metrics` shows.
std::span<const Metric> metric_catalogue();
/// docs/gateway-metrics.md.
std::string metrics_page();

/// In the Prometheus text format.
std::string metrics_text(const ProxyShared& shared, std::string_view build);

}  // namespace berth::gateway
