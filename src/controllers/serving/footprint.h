#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "controllers/serving/service_spec.h"
#include "controllers/view.h"

namespace berth::controllers {

/// The memory that a replica needs, in bytes.
struct Footprint {
  int64_t weights = 0;
  int64_t kv_cache = 0;  ///< of all its sequences at their longest
  int64_t engine = 0;    ///< the program's own buffers, an allowance: 64 MiB and 5% of the weights

  int64_t total() const { return weights + kv_cache + engine; }
};

/// What a replica keeps at `sequences` x `context_tokens`. vLLM takes what is left of the device
/// for its cache and needs room for one sequence only.
Footprint footprint_of(const platform::ModelHeader& header, const ServiceSpec& spec);

/// Why no replica of a variant can ever run, with the arithmetic; nullopt where it fits, or where
/// too little is known to say: no header, or no node with such devices.
std::optional<std::string> why_it_cannot_fit(const View& view, const platform::ModelHeader& header,
                                             const ServiceSpec& spec, const VariantSpec& variant);

}  // namespace berth::controllers
