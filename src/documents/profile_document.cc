#include "documents/profile_document.h"

#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include <fmt/format.h>

namespace berth::documents {
namespace {

constexpr const char* kApiVersion = "berth.dev/v1alpha1";
constexpr std::array<const char*, core::KernelCost::kAxes> kAxisNames = {
    "promptTokens", "promptContext", "decodes", "decodeContext"};

JsonArray to_array(const std::vector<double>& values) {
  JsonArray array;
  for (double value : values) array.emplace_back(value);
  return array;
}

JsonObject to_object(const core::Curve& curve) {
  return {{"at", to_array(curve.x)}, {"seconds", to_array(curve.y)}};
}

/// Reads fields of a document and remembers the first thing that is wrong.
class Reader {
 public:
  Reader(const Json& root, const std::string& file) : root_(root), file_(file) {}

  using Path = std::initializer_list<std::string_view>;

  void wrong(Path path, std::string what, std::string fix) {
    if (error_) return;
    std::string name;
    for (std::string_view part : path) name += (name.empty() ? "" : ".") + std::string(part);
    error_ = Error{ErrorCode::kInvalid, fmt::format("{}: {}", name, what), file_, std::move(fix)};
  }

  double number(Path path, double minimum, double fallback) {
    const Json* value = objects::find(root_, path);
    if (value == nullptr) return fallback;
    const double number = value->is_number() ? value->to_number<double>() : std::nan("");
    if (number >= minimum && std::isfinite(number)) return number;
    wrong(path, "not a number of at least " + fmt::format("{}", minimum),
          "correct it, or fit again");
    return fallback;
  }

  int count(Path path, int minimum, int fallback) {
    const double value = number(path, minimum, fallback);
    if (value <= std::numeric_limits<int>::max() && value == std::floor(value))
      return static_cast<int>(value);
    wrong(path, "not a whole number", "give one");
    return fallback;
  }

  std::vector<double> numbers(Path path, double minimum) {
    std::vector<double> values;
    for (const Json& item : objects::find_array(root_, path)) {
      const double value = item.is_number() ? item.to_number<double>() : std::nan("");
      if (!(value >= minimum) || !std::isfinite(value)) {
        wrong(path, "holds something that is no number of at least " + fmt::format("{}", minimum),
              "correct it, or fit again");
        return {};
      }
      values.push_back(value);
    }
    return values;
  }

  std::vector<double> axis(Path path) {
    std::vector<double> values = numbers(path, 0);
    if (values.size() < 2) wrong(path, "fewer than two points", "give at least two");
    for (size_t i = 1; i < values.size(); ++i)
      if (values[i] <= values[i - 1]) {
        wrong(path, "points that do not increase", "sort them");
        break;
      }
    return values;
  }

  bool has(Path path) const { return objects::find(root_, path) != nullptr; }
  const std::optional<Error>& error() const { return error_; }

 private:
  const Json& root_;
  std::string file_;
  std::optional<Error> error_;
};

core::Curve read_curve(Reader& reader, std::string_view name) {
  core::Curve curve{.x = reader.axis({"spec", "kernels", name, "at"}),
                    .y = reader.numbers({"spec", "kernels", name, "seconds"}, 0)};
  if (curve.x.size() != curve.y.size())
    reader.wrong({"spec", "kernels", name}, "`at` and `seconds` differ in length", "fit again");
  return curve;
}

core::KernelCost read_kernels(Reader& reader) {
  core::KernelCost cost;
  cost.dense_s = read_curve(reader, "dense");
  cost.sequences_s = read_curve(reader, "sequences");
  size_t cells = 1;
  for (size_t axis = 0; axis < kAxisNames.size(); ++axis) {
    cost.axes[axis] = reader.axis({"spec", "kernels", "attention", kAxisNames[axis]});
    cells *= cost.axes[axis].size();
  }
  cost.attention_s = reader.numbers({"spec", "kernels", "attention", "seconds"}, -1);
  if (cost.attention_s.size() != cells)
    reader.wrong({"spec", "kernels", "attention", "seconds"},
                 fmt::format("{} values where the axes make {}", cost.attention_s.size(), cells),
                 "fit again");
  cost.context_skew = reader.number({"spec", "kernels", "attention", "contextSkew"}, 0, 0);
  return cost;
}

}  // namespace

Json profile_to_document(const core::ServingProfile& profile, const std::string& name) {
  JsonObject spec{{"model", profile.model},
                  {"accelerator", profile.accelerator},
                  {"engine", profile.engine},
                  {"loadSeconds", profile.load_s},
                  {"limits", JsonObject{{"maxSequences", profile.limits.max_sequences},
                                        {"maxBatchedTokens", profile.limits.max_batched_tokens},
                                        {"blockTokens", profile.limits.block_tokens},
                                        {"kvBlocks", profile.limits.kv_blocks},
                                        {"prefixCaching", profile.limits.prefix_caching}}}};
  if (const auto* linear = std::get_if<core::LinearCost>(&profile.cost)) {
    spec["iteration"] = JsonObject{{"baseSeconds", linear->base_s},
                                   {"perSequenceSeconds", linear->per_sequence_s},
                                   {"perTokenSeconds", linear->per_token_s},
                                   {"perContextTokenSeconds", linear->per_context_token_s},
                                   {"perPromptPairSeconds", linear->per_prompt_pair_s}};
  } else {
    const auto& kernels = std::get<core::KernelCost>(profile.cost);
    JsonObject attention{{"contextSkew", kernels.context_skew},
                         {"seconds", to_array(kernels.attention_s)}};
    for (size_t axis = 0; axis < kAxisNames.size(); ++axis)
      attention[kAxisNames[axis]] = to_array(kernels.axes[axis]);
    spec["kernels"] = JsonObject{{"dense", to_object(kernels.dense_s)},
                                 {"sequences", to_object(kernels.sequences_s)},
                                 {"attention", std::move(attention)}};
  }
  return JsonObject{{"apiVersion", kApiVersion},
                    {"kind", "ServingProfile"},
                    {"metadata", JsonObject{{"name", name}}},
                    {"spec", std::move(spec)}};
}

Result<core::ServingProfile> profile_from_document(const Json& document, const std::string& file) {
  if (objects::find_string(document, {"kind"}) != "ServingProfile" ||
      objects::find_string(document, {"apiVersion"}) != kApiVersion)
    return fail(ErrorCode::kInvalid, "not a ServingProfile of berth.dev/v1alpha1", file,
                "write one with `berth profile fit`");
  Reader reader(document, file);
  core::ServingProfile profile;
  profile.model = objects::find_string(document, {"spec", "model"});
  profile.accelerator = objects::find_string(document, {"spec", "accelerator"});
  profile.engine = objects::find_string(document, {"spec", "engine"});
  profile.load_s = reader.number({"spec", "loadSeconds"}, 0, 0);
  core::BatchingLimits& limits = profile.limits;
  limits.max_sequences = reader.count({"spec", "limits", "maxSequences"}, 1, limits.max_sequences);
  limits.max_batched_tokens =
      reader.count({"spec", "limits", "maxBatchedTokens"}, 1, limits.max_batched_tokens);
  limits.block_tokens = reader.count({"spec", "limits", "blockTokens"}, 1, limits.block_tokens);
  limits.kv_blocks = reader.count({"spec", "limits", "kvBlocks"}, 0, limits.kv_blocks);
  limits.prefix_caching = objects::find_bool(document, {"spec", "limits", "prefixCaching"});
  if (reader.has({"spec", "kernels"})) {
    profile.cost = read_kernels(reader);
  } else {
    core::LinearCost cost;
    cost.base_s = reader.number({"spec", "iteration", "baseSeconds"}, 0, 0);
    cost.per_sequence_s = reader.number({"spec", "iteration", "perSequenceSeconds"}, 0, 0);
    cost.per_token_s = reader.number({"spec", "iteration", "perTokenSeconds"}, 0, 0);
    cost.per_context_token_s = reader.number({"spec", "iteration", "perContextTokenSeconds"}, 0, 0);
    cost.per_prompt_pair_s = reader.number({"spec", "iteration", "perPromptPairSeconds"}, 0, 0);
    if (cost.base_s + cost.per_token_s + cost.per_sequence_s <= 0)
      reader.wrong({"spec", "iteration"}, "an iteration takes no time", "give its coefficients");
    profile.cost = cost;
  }
  if (reader.error()) return std::unexpected(*reader.error());
  return profile;
}

}  // namespace berth::documents
