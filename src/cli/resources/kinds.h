#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "objects/schema.h"

namespace berth::cli {

/// One thing a command was asked about: a kind, and a name or (empty) all of them.
struct Subject {
  const objects::Kind* kind = nullptr;
  std::string name;

  bool operator==(const Subject&) const = default;
};

/// Reads `pods`, `pods,services`, `pod web-0 web-1`, `pod/web-0 job/train`, `all`. Unknown kinds
/// are answered with what was probably meant.
Result<std::vector<Subject>> parse_subjects(const objects::Registry& registry,
                                            const std::vector<std::string>& words);

Result<const objects::Kind*> find_kind(const objects::Registry& registry, std::string_view word);

/// `pod`, `job.batch`: how a kind is called in messages.
std::string kind_name(const objects::Kind& kind);

}  // namespace berth::cli
