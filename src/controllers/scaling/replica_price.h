#pragma once

#include "base/money.h"
#include "base/time.h"
#include "controllers/serving/service_spec.h"
#include "core/cost/price_list.h"

namespace berth::controllers {

/// What a replica of the variant costs an hour: its devices (by their model where that has a price,
/// else by their resource), and its CPU and memory (by the GiB), as `berth cost` counts a pod; but
/// for its part of what a whole node costs.
Money replica_price(const VariantSpec& variant, const core::PriceList& prices, Time now);

}  // namespace berth::controllers
