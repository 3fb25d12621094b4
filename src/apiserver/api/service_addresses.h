#pragma once

#include "apiserver/api/request.h"
#include "apiserver/storage/store.h"
#include "base/subnet.h"

namespace berth::apiserver {

/// Gives a new Service its cluster address from `range`, and its node ports, where it needs
/// them and asks for none; refuses what others have.
Answer<> give_service_address(Transaction& transaction, const Subject& subject, Json& service,
                              const Subnet& range);

}  // namespace berth::apiserver
