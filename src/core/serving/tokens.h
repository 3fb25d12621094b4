#pragma once

#include <cstdint>

#include "base/strong.h"

namespace berth::core {

struct TenantTag;
/// Whose request it is: dense, in the order in which tenants came.
using TenantId = Strong<TenantTag>;
struct ReplicaTag;
/// One server of a model: dense within the model, used again after it is gone.
using ReplicaId = Strong<ReplicaTag>;

/// What a token costs its tenant. An output token takes an iteration of the engine, an input token
/// a share of one: twice as much is the usual price.
struct TokenWeights {
  int64_t input = 1;
  int64_t output = 2;

  int64_t work(int64_t input_tokens, int64_t output_tokens) const {
    return input * input_tokens + output * output_tokens;
  }
};

}  // namespace berth::core
