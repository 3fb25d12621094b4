#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/money.h"
#include "base/time.h"
#include "bridge/scheduler.h"
#include "core/cost/price_list.h"

namespace berth::app {

/// What an accelerator, or each one of a resource, costs from an instant on.
struct Price {
  std::string of;  ///< a model (`NVIDIA-H100-80GB-HBM3`) or a resource (`nvidia.com/gpu`, `cpu`)
  Money per_hour{};
  Time from{INT64_MIN};

  bool operator==(const Price&) const = default;
};

/// What `berth serve --config FILE` was told: a BerthConfiguration. As it is made here, what a file
/// says that says nothing.
struct Configuration {
  bridge::SchedulerConfiguration scheduler{};  ///< but for the weights of accelerators
  std::vector<Price> prices{};                 ///< in the order of the file
  std::string currency{};                      ///< of all prices

  bool operator==(const Configuration&) const = default;
};

/// Every error of the file at its `file:line:column`, as `berth apply` reports them.
using ConfigurationErrors = std::vector<Error>;
std::expected<Configuration, ConfigurationErrors> load_configuration(const std::string& file);
std::expected<Configuration, ConfigurationErrors> read_configuration(std::string_view text,
                                                                     const std::string& file);

/// What the scheduler goes by at that instant: the weight of an accelerator in fair shares is its
/// price over that of the cheapest one. What has no price yet counts as the cheapest; what is free
/// counts next to nothing.
bridge::SchedulerConfiguration scheduler_configuration(const Configuration& configuration,
                                                       Time now);
/// What things cost, with all changes that the file names.
core::PriceList price_list(const Configuration& configuration);
/// When a price begins to apply next.
std::optional<Time> next_price(const Configuration& configuration, Time now);

}  // namespace berth::app
