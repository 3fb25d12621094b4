#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace berth::traces {

/// Alibaba's GPU cluster trace of 2023 ("openb"), the data of Weng et al., USENIX ATC 2023.
struct OpenbNode {
  int64_t cpu_milli = 0;
  int64_t memory_mib = 0;
  int devices = 0;
  std::string model;
};

struct OpenbPod {
  int64_t cpu_milli = 0;
  int64_t memory_mib = 0;
  int devices = 0;
  int device_milli = 0;  ///< of each; below 1000 only with one device; 0 without devices
  std::string models;    ///< allowed models joined by `|`; empty: any

  int64_t total_milli() const { return int64_t{devices} * device_milli; }
};

/// The order in which one run of the experiment sees nodes and pods: rows of the two tables, from
/// 0.
struct OpenbArrivals {
  std::vector<uint32_t> nodes;
  std::vector<uint32_t> pods;
};

/// `text` is the content of `file`, which is only named in errors.
Result<std::vector<OpenbNode>> read_openb_nodes(std::string_view text, const std::string& file);
Result<std::vector<OpenbPod>> read_openb_pods(std::string_view text, const std::string& file);
/// Line 1: `nodes` and node rows in tie-break order. Line 2: `pods` and pod rows as they arrive.
Result<OpenbArrivals> read_openb_arrivals(std::string_view text, const std::string& file,
                                          size_t node_rows, size_t pod_rows);

}  // namespace berth::traces
