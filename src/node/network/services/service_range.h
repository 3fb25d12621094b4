#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "node/network/subnet.h"

namespace berth::node {

/// A network that somebody else has: its interface and, where that is a bridge of another Berth,
/// the data folder of that one.
struct ForeignRoute {
  Subnet subnet;
  std::string interface;
  std::string berth;  ///< empty: not Berth's
};

/// Where Services get their addresses: what was asked for, else what this data folder had before
/// (its Services have their addresses there), else the first of 10.96.0.0/16, 10.97.0.0/16, ...
/// that nobody has. Fails where another Berth on this machine has it: their rules would mix.
Result<Subnet> choose_service_range(const std::optional<Subnet>& asked,
                                    const std::optional<Subnet>& kept,
                                    const std::vector<ForeignRoute>& others);

/// The same for this machine and a data folder, before anything is changed. `option` is what
/// `--service-subnet` says; empty: nothing.
Result<Subnet> service_range(const std::string& data_dir, const std::string& option);

/// The routes of this machine but those of its own bridge `own`.
std::vector<ForeignRoute> foreign_routes(const std::string& own);

}  // namespace berth::node
