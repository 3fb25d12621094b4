#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "objects/json.h"
#include "objects/schema.h"

namespace berth::objects {

/// A label selector. The default one selects everything.
class LabelSelector {
 public:
  struct Requirement {
    enum class Operator { kIn, kNotIn, kExists, kDoesNotExist, kGreater, kLess };
    std::string key;
    Operator op = Operator::kExists;
    std::vector<std::string> values;  ///< sorted
    bool operator==(const Requirement&) const = default;
  };

  /// The query syntax: `app=web,tier in (a,b),!old,cores>4`.
  static Result<LabelSelector> parse(std::string_view text);
  /// A `metav1.LabelSelector` (`matchLabels`, `matchExpressions`). An empty one selects everything;
  /// null selects nothing.
  static Result<LabelSelector> from_json(const Json& selector);

  bool matches(const JsonObject& labels) const;
  /// Reads `metadata.labels` of an object.
  bool matches_object(const Json& object) const;
  bool everything() const { return !nothing_ && requirements_.empty(); }
  const std::vector<Requirement>& requirements() const { return requirements_; }
  std::string to_string() const;

 private:
  std::vector<Requirement> requirements_;
  bool nothing_ = false;
};

/// A field selector: `status.phase!=Running,spec.nodeName=n1`. A flag or number that is not set
/// counts as false or 0.
class FieldSelector {
 public:
  struct Term {
    std::string path;
    std::string value;
    bool equal = true;
    std::string absent{};  ///< what a field that is not set counts as: "false", "0"
    bool operator==(const Term&) const = default;
  };

  /// Fails when a field is not selectable for the kind.
  static Result<FieldSelector> parse(const Kind& kind, std::string_view text);

  bool matches(const Json& object) const;
  bool everything() const { return terms_.empty(); }
  const std::vector<Term>& terms() const { return terms_; }

 private:
  std::vector<Term> terms_;
};

}  // namespace berth::objects
