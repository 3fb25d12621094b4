#include "controllers/expectations.h"

#include <utility>

namespace berth::controllers {
namespace {

constexpr size_t kRemembered = 8192;

}  // namespace

void Expectations::saw(const Object& object) {
  remember(object.uid + '/' + object.resource_version);
}

void Expectations::saw_gone(const Object& object) {
  remember(object.uid);
}

void Expectations::remember(std::string mark) {
  if (!marks_.insert(mark).second) return;
  order_.push_back(std::move(mark));
  if (order_.size() <= kRemembered) return;
  marks_.erase(order_.front());
  order_.pop_front();
}

bool Expectations::is_met(const View& view, const Expected& expected) const {
  const ObjectPtr object = view.find_uid(expected.uid);
  if (expected.deletion) return object == nullptr || object->deleting;
  return marks_.contains(expected.uid) ||
         marks_.contains(expected.uid + '/' + expected.resource_version) ||
         (object != nullptr && object->resource_version == expected.resource_version);
}

}  // namespace berth::controllers
