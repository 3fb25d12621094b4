#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apiserver/api/request.h"
#include "apiserver/api/status.h"
#include "base/time.h"
#include "objects/json.h"
#include "objects/json_text.h"
#include "objects/schema.h"

namespace berth::apiserver {

/// A body of a write as it came, with what a tree cannot hold.
struct Body {
  Json value;
  std::vector<objects::DuplicateKey> duplicates;
};

/// The object that a creation stores (but for its resource version), from the client's body: system
/// metadata set, status as that of something new, defaulted and validated.
Answer<Json> new_object(const Subject& subject, Body body, const WriteContext& context, Time now,
                        std::vector<std::string>& warnings);

/// The object that an update stores, from the state `before` and the whole object that the client
/// wants; through `status` or `resize` only that part changes. Equal to `before` where nothing
/// changes.
Answer<Json> next_object(const Subject& subject, const Json& before, Body body,
                         const WriteContext& context, std::vector<std::string>& warnings);

/// What a deletion makes of an object: what stays of it until its finalizers or its grace period
/// are done, or nothing.
struct DeletionStep {
  bool gone = false;
  Json object;  ///< the state to keep, or the last state
};
Answer<DeletionStep> deletion_step(const Subject& subject, const Json& before,
                                   const Deletion& deletion, Time now);

/// Is this an object whose deletion waits for nothing any more? (An update may have removed the
/// last finalizer.)
bool deletion_is_complete(const objects::Kind& kind, const Json& object);

bool is_deleting(const Json& object);

}  // namespace berth::apiserver
