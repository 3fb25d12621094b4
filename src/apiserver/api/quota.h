#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "apiserver/api/request.h"
#include "apiserver/storage/store.h"
#include "base/quantity.h"

namespace berth::apiserver {

/// Refuses an object (403) that would take its namespace beyond one of its ResourceQuotas, and
/// charges it to them: one transaction with its creation, or with its change from `before`.
Answer<> charge_quota(Transaction& transaction, const Subject& subject, const Json& object,
                      const Json* before = nullptr);

/// A pod's `requests` or `limits`, by resource: containers run together, with the sidecars; other
/// init containers one after the other before them.
std::map<std::string, Quantity, std::less<>> pod_resources(const Json& pod, std::string_view side);

/// Brings `status.used` of a namespace's quotas up to date, after something went or ended.
void refresh_quotas(Transaction& transaction, std::string_view ns);

/// May a change from `before` to `after` (null: removed) have freed something, or have changed what
/// a quota says?
bool changes_quota(const objects::Kind& kind, const Json& before, const Json* after);

}  // namespace berth::apiserver
