#include "apiserver/storage/stored.h"

#include "objects/json_text.h"

namespace berth::apiserver {

SharedJson Stored::tree() const {
  const std::lock_guard lock(mutex_);
  if (SharedJson tree = tree_.lock()) return tree;
  auto parsed = objects::parse_json(bytes_);
  // What is stored was written by this server and checked when it was read: it does parse.
  auto tree = std::make_shared<const Json>(parsed ? std::move(parsed->value) : Json(nullptr));
  tree_ = tree;
  return tree;
}

}  // namespace berth::apiserver
