#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "objects/defaults.h"
#include "objects/validate/issues.h"

namespace berth::objects {
namespace {

/// The words of kube-apiserver, which clients and people know.
std::string warning_text(const Issue& issue) {
  const bool duplicate = issue.kind == Issue::Kind::kDuplicateField;
  std::string text =
      fmt::format("{} field \"{}\"", duplicate ? "duplicate" : "unknown", issue.path);
  if (issue.fix.starts_with("did you mean")) text += "; " + issue.fix;
  return text;
}

}  // namespace

Result<FieldValidation> parse_field_validation(std::string_view text) {
  if (text == "Strict") return FieldValidation::kStrict;
  if (text == "Warn" || text.empty()) return FieldValidation::kWarn;
  if (text == "Ignore") return FieldValidation::kIgnore;
  return fail(ErrorCode::kInvalid, fmt::format("`{}` is not a fieldValidation", text), {},
              "use Strict, Warn or Ignore");
}

Prepared prepare(const Kind& kind, Json body, FieldValidation mode,
                 const std::vector<DuplicateKey>& duplicates, const Json* before) {
  Prepared prepared;
  Issues shape = check_shape(kind, body);
  for (const DuplicateKey& duplicate : duplicates)
    shape.push_back({Issue::Kind::kDuplicateField, duplicate.path,
                     "the field is set twice: the last one counts", "remove one of them"});
  for (const Issue& issue : shape) {
    const bool strict_only =
        issue.kind == Issue::Kind::kUnknownField || issue.kind == Issue::Kind::kDuplicateField;
    if (!strict_only || mode == FieldValidation::kStrict)
      prepared.undecodable.push_back(issue);
    else if (mode == FieldValidation::kWarn)
      prepared.warnings.push_back(warning_text(issue));
  }
  sort_issues(prepared.undecodable);

  prune(kind, body);
  apply_defaults(kind, body);
  prepared.invalid = check_values(kind, body);
  if (before != nullptr)
    std::ranges::move(check_update(kind, *before, body), std::back_inserter(prepared.invalid));
  drop_consequences(prepared.undecodable, prepared.invalid);
  sort_issues(prepared.invalid);
  if (prepared.undecodable.empty()) prepared.object = std::move(body);
  return prepared;
}

}  // namespace berth::objects
