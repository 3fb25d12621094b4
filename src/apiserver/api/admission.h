#pragma once

#include <utility>
#include <vector>

#include "apiserver/api/request.h"
#include "apiserver/storage/store.h"
#include "base/subnet.h"
#include "base/time.h"

namespace berth::apiserver {

/// What admission needs to know of the server.
struct Surroundings {
  Time now;
  Subnet services;  ///< where Services have their addresses
};

/// What must hold, beyond the object itself, before a new object is stored; and what it is given
/// then: a pod the number behind its priority class, a Service its address, a namespace its label.
Answer<> admit_new(Transaction& transaction, const Subject& subject, Json& object,
                   const WriteContext& context, const Surroundings& surroundings);

/// Namespaces and priority classes that a cluster always has.
std::vector<std::pair<StoreKey, Json>> initial_objects();

}  // namespace berth::apiserver
