#include "documents/service_document.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/time.h"

namespace berth::documents {
namespace {

using Path = std::initializer_list<std::string_view>;

Result<> read_seconds(const Json& document, Path path, const std::string& file, double& seconds) {
  const std::string text(objects::find_string(document, path));
  if (text.empty()) return {};
  const auto duration = parse_duration(text);
  if (!duration || duration->ns <= 0)
    return fail(ErrorCode::kInvalid, fmt::format("`{}` is no time above zero", text), file,
                "write 2s or 60ms");
  seconds = duration->to_seconds();
  return {};
}

Result<> read_count(const Json& document, Path path, const std::string& file, int least,
                    int& count) {
  if (objects::find(document, path) == nullptr) return {};
  const int64_t value = objects::find_int(document, path, -1);
  if (value < least || value > 100'000)
    return fail(ErrorCode::kInvalid,
                fmt::format("`{}` is not a number from {} to 100000", *(path.end() - 1), least),
                file, "correct it");
  count = static_cast<int>(value);
  return {};
}

}  // namespace

Result<> read_scaled_service(const Json& document, const std::string& where,
                             core::ScaledService& service) {
  core::ServingObjective& objective = service.objective;
  BERTH_CHECK(read_seconds(document, {"spec", "objective", "latency", "target"}, where,
                           objective.latency_s));
  // Asked alone, it bounds the other two.
  if (objects::find(document, {"spec", "objective", "latency"}) != nullptr)
    objective.ttft_s = objective.tpot_s = objective.latency_s;
  BERTH_CHECK(
      read_seconds(document, {"spec", "objective", "ttft", "target"}, where, objective.ttft_s));
  BERTH_CHECK(
      read_seconds(document, {"spec", "objective", "tpot", "target"}, where, objective.tpot_s));
  int percentile = 0;
  for (const std::string_view of : {"ttft", "tpot", "latency"}) {
    int each = 0;
    BERTH_CHECK(read_count(document, {"spec", "objective", of, "percentile"}, where, 1, each));
    percentile = std::max(percentile, each);
  }
  if (percentile >= 100)
    return fail(ErrorCode::kInvalid, fmt::format("percentile {}", percentile), where,
                "give one below 100: nothing keeps every request inside");
  if (percentile > 0) objective.attainment = percentile / 100.0;
  BERTH_CHECK(read_count(document, {"spec", "replicas", "min"}, where, 0, service.min_replicas));
  BERTH_CHECK(read_count(document, {"spec", "replicas", "max"}, where, 1, service.max_replicas));
  BERTH_CHECK(read_seconds(document, {"spec", "scaling", "idleAfter"}, where,
                           service.tuning.idle_to_zero_s));
  BERTH_CHECK(read_seconds(document, {"spec", "scaling", "holdFor"}, where, service.tuning.hold_s));
  if (service.min_replicas > service.max_replicas)
    return fail(ErrorCode::kInvalid, "replicas.min is above replicas.max", where, "swap them");
  return {};
}

}  // namespace berth::documents
