#include "cli/resources/kinds.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace berth::cli {

Result<const objects::Kind*> find_kind(const objects::Registry& registry, std::string_view word) {
  if (const objects::Kind* kind = registry.find_alias(word)) return kind;
  std::vector<std::string_view> known;
  for (const objects::Kind* kind : registry.kinds()) {
    if (kind->plural.empty()) continue;
    known.push_back(kind->plural);
    known.push_back(kind->singular);
  }
  const std::string_view meant = closest(word, known);
  return fail(ErrorCode::kInvalid, fmt::format("unknown kind `{}`", word), "",
              meant.empty() ? "`berth get --help` lists the kinds"
                            : fmt::format("did you mean `{}`?", meant));
}

Result<std::vector<Subject>> parse_subjects(const objects::Registry& registry,
                                            const std::vector<std::string>& words) {
  std::vector<Subject> subjects;
  if (words.empty()) {
    return fail(ErrorCode::kInvalid, "no kind was named", "", "for example `pods` or `job/train`");
  }
  const bool pairs = words.front().find('/') != std::string::npos;
  if (pairs) {
    for (const std::string& word : words) {
      const size_t slash = word.find('/');
      if (slash == std::string::npos || slash + 1 == word.size()) {
        return fail(ErrorCode::kInvalid, fmt::format("`{}` is not KIND/NAME", word), "",
                    "write either `pod web-0 web-1` or `pod/web-0 pod/web-1`");
      }
      BERTH_TRY(const objects::Kind* kind,
                find_kind(registry, std::string_view(word).substr(0, slash)));
      subjects.push_back({kind, word.substr(slash + 1)});
    }
    return subjects;
  }
  std::vector<const objects::Kind*> kinds;
  for (std::string_view word : split(words.front(), ',')) {
    if (word == "all") {
      for (const objects::Kind* kind : registry.kinds()) {
        if (std::find(kind->categories.begin(), kind->categories.end(), "all") !=
            kind->categories.end()) {
          kinds.push_back(kind);
        }
      }
      continue;
    }
    BERTH_TRY(const objects::Kind* kind, find_kind(registry, word));
    kinds.push_back(kind);
  }
  for (const objects::Kind* kind : kinds) {
    if (words.size() == 1) subjects.push_back({kind, ""});
    for (size_t i = 1; i < words.size(); ++i) subjects.push_back({kind, words[i]});
  }
  return subjects;
}

std::string kind_name(const objects::Kind& kind) {
  return kind.group.empty() ? std::string(kind.singular)
                            : fmt::format("{}.{}", kind.singular, kind.group);
}

}  // namespace berth::cli
