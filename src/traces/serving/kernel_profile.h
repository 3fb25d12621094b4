#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "core/scaling/serving/serving_profile.h"

namespace berth::traces {

/// The files of a kernel profile, as LLMServingSim's profiler writes them, times in microseconds:
/// `dense.csv` (`layer,tokens,time_us`), `per_sequence.csv` (`layer,sequences,time_us`),
/// `attention.csv`
/// (`prefill_chunk,kv_prefill,n_decode,kv_decode,time_us`), each for one transformer layer.
struct KernelFile {
  std::string_view text;
  std::string file;  ///< for messages
};
struct KernelFiles {
  KernelFile dense, per_sequence, attention;
};

/// The cost of an iteration of a model with `layers` transformer layers. Layers `embedding` and
/// `final_layernorm` are paid once, `layernorm` twice a transformer layer, the rest once.
Result<core::KernelCost> parse_kernel_profile(const KernelFiles& files, int layers,
                                              double context_skew);

}  // namespace berth::traces
