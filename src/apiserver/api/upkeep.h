#pragma once

#include <cstdint>
#include <memory>

#include "apiserver/api/objects_api.h"
#include "base/error.h"

namespace berth::apiserver {

/// What the server does of its own accord: the objects of a first start, emptying namespaces that
/// are being deleted, forgetting events after an hour.
class Upkeep {
 public:
  explicit Upkeep(ObjectsApi& api);
  ~Upkeep();

  Result<> create_initial_objects();
  void start();
  void stop();

 private:
  struct Turn;
  ObjectsApi& api_;
  std::shared_ptr<Turn> turn_;
};

}  // namespace berth::apiserver
