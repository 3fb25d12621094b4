#pragma once

#include "apiserver/api/request.h"
#include "apiserver/storage/store.h"

namespace berth::apiserver {

/// Refuses (403) what a pod may not grow to in place: more than is free on its node, or than the
/// limits of its queue and of those above it leave.
Answer<> check_growth(const Transaction& transaction, const Subject& subject, const Json& before,
                      const Json& after);

}  // namespace berth::apiserver
