#include "objects/selector.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "objects/json_path.h"
#include "objects/names.h"

namespace berth::objects {
namespace {

using Requirement = LabelSelector::Requirement;
using Operator = Requirement::Operator;

/// The tokens of the query syntax: words, `(`, `)`, `,`, `!`, `=`, `==`, `!=`, `<`, `>`.
class Tokens {
 public:
  explicit Tokens(std::string_view text) : rest_(trim(text)) {}

  bool at_end() const { return rest_.empty(); }
  std::string_view peek() const {
    if (rest_.empty()) return {};
    for (std::string_view op : {"==", "!="})
      if (rest_.starts_with(op)) return rest_.substr(0, 2);
    if (kOperators.find(rest_[0]) != std::string_view::npos) return rest_.substr(0, 1);
    return rest_.substr(0, rest_.find_first_of(kEnds));
  }
  std::string_view next() {
    const std::string_view token = peek();
    rest_.remove_prefix(token.size());
    rest_ = trim(rest_);
    return token;
  }
  bool take(std::string_view token) {
    if (at_end() || peek() != token) return false;
    next();
    return true;
  }
  bool at_word() const {
    return !rest_.empty() && kOperators.find(rest_[0]) == std::string_view::npos;
  }

 private:
  static constexpr std::string_view kOperators = "(),!=<>";
  static constexpr std::string_view kEnds = "(),!=<> \t\r\n";
  std::string_view rest_;
};

std::unexpected<Error> bad_selector(std::string_view text, std::string what) {
  return fail(ErrorCode::kInvalid, fmt::format("cannot read the selector `{}`: {}", text, what), {},
              "write it as `app=web,tier in (a,b),!old`");
}

Result<> check_requirement(const Requirement& requirement) {
  if (auto wrong = check_qualified_name(requirement.key))
    return fail(ErrorCode::kInvalid, fmt::format("the label key `{}` {}", requirement.key, *wrong));
  const bool numeric = requirement.op == Operator::kGreater || requirement.op == Operator::kLess;
  for (const std::string& value : requirement.values) {
    int64_t number = 0;
    const char* end = value.data() + value.size();
    if (numeric && (std::from_chars(value.data(), end, number).ptr != end || value.empty()))
      return fail(ErrorCode::kInvalid,
                  fmt::format("`{}` after `<` or `>` must be an integer", value));
    if (auto wrong = check_label_value(value))
      return fail(ErrorCode::kInvalid, fmt::format("the label value `{}` {}", value, *wrong));
  }
  return {};
}

Result<Requirement> read_set(Tokens& tokens, std::string_view text, Requirement requirement) {
  if (!tokens.take("(")) return bad_selector(text, "`(` must follow `in` and `notin`");
  for (;;) {
    requirement.values.emplace_back(tokens.at_word() ? tokens.next() : "");
    if (tokens.take(")")) break;
    if (!tokens.take(",")) return bad_selector(text, "values must end with `)`");
  }
  std::ranges::sort(requirement.values);
  const auto repeated = std::ranges::unique(requirement.values);
  requirement.values.erase(repeated.begin(), repeated.end());
  return requirement;
}

Result<Requirement> read_requirement(Tokens& tokens, std::string_view text) {
  Requirement requirement;
  const bool negated = tokens.take("!");
  if (!tokens.at_word()) return bad_selector(text, "a label key is missing");
  requirement.key = tokens.next();
  if (negated) {
    requirement.op = Operator::kDoesNotExist;
    return requirement;
  }
  if (tokens.at_end() || tokens.peek() == ",") return requirement;
  const std::string_view op = tokens.next();
  if (op == "in" || op == "notin") {
    requirement.op = op == "in" ? Operator::kIn : Operator::kNotIn;
    return read_set(tokens, text, std::move(requirement));
  }
  if (op == "=" || op == "==") {
    requirement.op = Operator::kIn;
  } else if (op == "!=") {
    requirement.op = Operator::kNotIn;
  } else if (op == ">" || op == "<") {
    requirement.op = op == ">" ? Operator::kGreater : Operator::kLess;
  } else {
    return bad_selector(text, fmt::format("`{}` is not an operator", op));
  }
  requirement.values.emplace_back(tokens.at_word() ? tokens.next() : "");
  return requirement;
}

bool contains(const Requirement& requirement, std::string_view value) {
  return std::ranges::binary_search(requirement.values, value);
}

bool compares(const Requirement& requirement, std::string_view text) {
  int64_t value = 0, bound = 0;
  const char* end = text.data() + text.size();
  if (text.empty() || std::from_chars(text.data(), end, value).ptr != end) return false;
  const std::string& limit = requirement.values.front();
  std::from_chars(limit.data(), limit.data() + limit.size(), bound);
  return requirement.op == Operator::kGreater ? value > bound : value < bound;
}

bool holds(const Requirement& requirement, const JsonObject& labels) {
  const Json* found = labels.if_contains(requirement.key);
  const bool present = found != nullptr && found->is_string();
  const std::string_view value = present ? std::string_view(found->get_string()) : "";
  switch (requirement.op) {
    case Operator::kIn:
      return present && contains(requirement, value);
    case Operator::kNotIn:
      return !present || !contains(requirement, value);
    case Operator::kExists:
      return present;
    case Operator::kDoesNotExist:
      return !present;
    case Operator::kGreater:
    case Operator::kLess:
      return present && compares(requirement, value);
  }
  return false;
}

std::string to_text(const Requirement& requirement) {
  const auto& values = requirement.values;
  switch (requirement.op) {
    case Operator::kExists:
      return requirement.key;
    case Operator::kDoesNotExist:
      return '!' + requirement.key;
    case Operator::kGreater:
    case Operator::kLess:
      return requirement.key + (requirement.op == Operator::kGreater ? '>' : '<') + values.front();
    case Operator::kIn:
      if (values.size() == 1) return requirement.key + '=' + values.front();
      return fmt::format("{} in ({})", requirement.key, fmt::join(values, ","));
    case Operator::kNotIn:
      if (values.size() == 1) return requirement.key + "!=" + values.front();
      return fmt::format("{} notin ({})", requirement.key, fmt::join(values, ","));
  }
  return {};
}

Result<Requirement> expression_from(const Json& expression) {
  static constexpr std::pair<std::string_view, Operator> kNames[] = {
      {"In", Operator::kIn},
      {"NotIn", Operator::kNotIn},
      {"Exists", Operator::kExists},
      {"DoesNotExist", Operator::kDoesNotExist}};
  Requirement requirement;
  requirement.key = find_string(expression, {"key"});
  const std::string_view op = find_string(expression, {"operator"});
  const auto* name = std::ranges::find(kNames, op, &std::pair<std::string_view, Operator>::first);
  if (name == std::end(kNames))
    return fail(ErrorCode::kInvalid, fmt::format("`{}` is not a selector operator", op), {},
                "use In, NotIn, Exists or DoesNotExist");
  requirement.op = name->second;
  for (const Json& value : find_array(expression, {"values"}))
    if (value.is_string()) requirement.values.emplace_back(value.get_string());
  std::ranges::sort(requirement.values);
  const bool takes_values = requirement.op == Operator::kIn || requirement.op == Operator::kNotIn;
  if (takes_values == requirement.values.empty())
    return fail(ErrorCode::kInvalid, fmt::format("`values` must {}be empty for the operator {}",
                                                 takes_values ? "not " : "", op));
  return requirement;
}

/// Where two names that only selectors have are kept.
std::string_view stored_path(std::string_view path) {
  if (path == "source") return "source.component";             // of an Event
  if (path == "status.successful") return "status.succeeded";  // of a Job
  return path;
}

/// What a field of the kind counts as when it is not set.
std::string unset_text(const Kind& kind, std::string_view path) {
  const Struct* schema = kind.schema;
  const Field* field = nullptr;
  for (std::string_view step : split(stored_path(path), '.')) {
    field = schema != nullptr ? schema->find(step) : nullptr;
    schema = field != nullptr && field->type == Type::kObject ? field->object : nullptr;
  }
  if (field == nullptr) return {};
  if (field->type == Type::kBool) return "false";
  return field->type == Type::kInt32 || field->type == Type::kInt64 ? "0" : "";
}

}  // namespace

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
  LabelSelector selector;
  Tokens tokens(text);
  while (!tokens.at_end()) {
    BERTH_TRY(Requirement requirement, read_requirement(tokens, text));
    BERTH_CHECK(check_requirement(requirement));
    selector.requirements_.push_back(std::move(requirement));
    if (tokens.at_end()) break;
    if (!tokens.take(",")) return bad_selector(text, "requirements are joined by `,`");
    if (tokens.at_end()) return bad_selector(text, "nothing follows the last `,`");
  }
  return selector;
}

Result<LabelSelector> LabelSelector::from_json(const Json& json) {
  LabelSelector selector;
  selector.nothing_ = json.is_null();
  for (const auto& [key, value] : find_object(json, {"matchLabels"})) {
    if (!value.is_string())
      return fail(ErrorCode::kInvalid,
                  fmt::format("the value of label `{}` must be a string", std::string_view(key)));
    selector.requirements_.push_back(
        {std::string(key), Operator::kIn, {std::string(value.get_string())}});
  }
  for (const Json& expression : find_array(json, {"matchExpressions"})) {
    BERTH_TRY(Requirement requirement, expression_from(expression));
    selector.requirements_.push_back(std::move(requirement));
  }
  for (const Requirement& requirement : selector.requirements_)
    BERTH_CHECK(check_requirement(requirement));
  std::ranges::stable_sort(selector.requirements_, {}, &Requirement::key);
  return selector;
}

bool LabelSelector::matches(const JsonObject& labels) const {
  return !nothing_ && std::ranges::all_of(requirements_, [&](const Requirement& requirement) {
    return holds(requirement, labels);
  });
}

bool LabelSelector::matches_object(const Json& object) const {
  return matches(find_object(object, {"metadata", "labels"}));
}

std::string LabelSelector::to_string() const {
  std::string text;
  for (const Requirement& requirement : requirements_) {
    if (!text.empty()) text += ',';
    text += to_text(requirement);
  }
  return text;
}

Result<FieldSelector> FieldSelector::parse(const Kind& kind, std::string_view text) {
  FieldSelector selector;
  for (std::string_view part : split(text, ',')) {
    part = trim(part);
    if (part.empty()) continue;
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0)
      return fail(ErrorCode::kInvalid, fmt::format("cannot read the field selector `{}`", part), {},
                  "write it as `status.phase=Running` or `metadata.name!=a`");
    Term term;
    term.equal = part[equals - 1] != '!';
    term.path = trim(part.substr(0, term.equal ? equals : equals - 1));
    term.value = trim(part.substr(part.substr(equals).starts_with("==") ? equals + 2 : equals + 1));
    const bool known =
        term.path == "metadata.name" || (term.path == "metadata.namespace" && kind.namespaced) ||
        std::ranges::find(kind.selectable_fields, term.path) != kind.selectable_fields.end();
    if (!known)
      return fail(ErrorCode::kInvalid,
                  fmt::format("{} cannot be selected by the field `{}`", kind.plural, term.path),
                  {},
                  fmt::format("use metadata.name{}{}", kind.selectable_fields.empty() ? "" : ", ",
                              fmt::join(kind.selectable_fields, ", ")));
    term.absent = unset_text(kind, term.path);
    selector.terms_.push_back(std::move(term));
  }
  return selector;
}

bool FieldSelector::matches(const Json& object) const {
  return std::ranges::all_of(terms_, [&](const Term& term) {
    const std::string text = text_at(object, stored_path(term.path));
    return ((text.empty() ? term.absent : text) == term.value) == term.equal;
  });
}

}  // namespace berth::objects
