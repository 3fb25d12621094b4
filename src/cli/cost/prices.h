#pragma once

#include <string>

#include "base/error.h"
#include "core/cost/price_list.h"

namespace berth::cli {

struct Prices {
  core::PriceList list;
  std::string currency;
};

/// The prices of a BerthConfiguration, as `berth serve --config` reads it. The first thing that is
/// wrong with the file is the error.
Result<Prices> read_prices(const std::string& path);

}  // namespace berth::cli
