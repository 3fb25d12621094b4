#include <string>

#include "fuzz.h"
#include "objects/json_text.h"
#include "objects/patch.h"
#include "objects/table.h"
#include "objects/validate.h"

using namespace berth;
using namespace berth::objects;

namespace {

/// Any JSON as the body of a kind: preparing it twice is preparing it once.
void check_kind(const Kind& kind, const Json& body) {
  const Prepared once = prepare(kind, body, FieldValidation::kIgnore);
  make_table_row(kind, body, Time{}, IncludeObject::kMetadata);
  if (!once.undecodable.empty()) return;
  const Prepared twice = prepare(kind, once.object, FieldValidation::kStrict);
  FUZZ_CHECK(twice.undecodable.empty());
  FUZZ_CHECK(canonical_json(twice.object) == canonical_json(once.object));
}

}  // namespace

/// The first byte chooses a kind; two documents, split by a zero byte, are a body and a patch.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const auto kRegistry = Registry::built_in();
  if (size < 2) return 0;
  const Kind& kind = *kRegistry->kinds()[bytes[0] % kRegistry->kinds().size()];
  const std::string_view text = as_text(bytes + 1, size - 1);
  const size_t zero = text.find('\0');
  const auto body = parse_json(text.substr(0, zero));
  if (!body) return 0;
  check_kind(kind, body->value);
  if (zero == std::string_view::npos) return 0;
  const auto patch = parse_json(text.substr(zero + 1));
  if (!patch) return 0;
  Json object = body->value;
  if (!apply_strategic_merge_patch(kind, object, patch->value))
    FUZZ_CHECK(canonical_json(object) == canonical_json(body->value));
  object = body->value;
  if (!apply_json_patch(object, patch->value))
    FUZZ_CHECK(canonical_json(object) == canonical_json(body->value));
  apply_merge_patch(object, patch->value);
  check_kind(kind, object);
  return 0;
}
