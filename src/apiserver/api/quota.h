#pragma once

#include <string_view>

#include "apiserver/api/request.h"
#include "apiserver/storage/store.h"

namespace berth::apiserver {

/// Refuses a new object (403) that would take its namespace beyond one of its ResourceQuotas, and
/// charges it to them: one transaction with its creation.
Answer<> charge_quota(Transaction& transaction, const Subject& subject, const Json& object);

/// Brings `status.used` of a namespace's quotas up to date, after something went or ended.
void refresh_quotas(Transaction& transaction, std::string_view ns);

/// May a change from `before` to `after` (null: removed) have freed something, or have changed what
/// a quota says?
bool changes_quota(const objects::Kind& kind, const Json& before, const Json* after);

}  // namespace berth::apiserver
