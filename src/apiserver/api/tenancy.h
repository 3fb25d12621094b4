#pragma once

#include <string>

#include "apiserver/api/request.h"
#include "apiserver/storage/store.h"

namespace berth::apiserver {

/// What users who are not administrators may ask for (403 where they may not), in pods and in what
/// makes pods, when it is created or changes from `before`:
/// - no privileged containers, no namespaces or folders of the host; a user known to the kernel may
///   mount folders, running under the own user id;
/// - the queues of their namespace: the one it is labelled with (`berth.dev/queue`) or named as,
///   those that its annotation `berth.dev/queues` lists, what is below these, and `default`;
/// - no priority class of the system's (`system-...`).
Answer<> check_tenant(const Transaction& transaction, const Subject& subject, const Json* before,
                      const Json& object, const Caller& caller);

/// The queue that a pod counts to: the one it names, else its namespace's.
std::string queue_of(const Transaction& transaction, const std::string& ns, const Json& pod);

}  // namespace berth::apiserver
