#pragma once

#include "apiserver/api/request.h"
#include "apiserver/storage/store.h"

namespace berth::apiserver {

/// Gives a new Service its cluster address from 10.96.0.0/16, and its node ports, where it needs
/// them and asks for none; refuses what others have.
Answer<> give_service_address(Transaction& transaction, const Subject& subject, Json& service);

}  // namespace berth::apiserver
