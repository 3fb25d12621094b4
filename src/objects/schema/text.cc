#include "objects/schema/text.h"

namespace berth::objects {

std::vector<std::string_view> built_in_schema() {
  return {
#include "objects/schema/kinds.inc"
#include "objects/schema/kubernetes.inc"
#include "objects/schema/own.inc"
  };
}

}  // namespace berth::objects
