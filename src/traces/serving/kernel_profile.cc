#include "traces/serving/kernel_profile.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>

#include "traces/csv.h"

namespace berth::traces {
namespace {

using LayerCurves = std::map<std::string, std::map<int64_t, double>, std::less<>>;

Result<LayerCurves> read_layers(const KernelFile& source, std::string_view axis) {
  BERTH_TRY(const CsvTable table, CsvTable::parse(source.text, source.file));
  BERTH_TRY(const size_t layer, table.column("layer"));
  BERTH_TRY(const size_t count, table.column(axis));
  BERTH_TRY(const size_t time, table.column("time_us"));
  LayerCurves curves;
  for (size_t row = 0; row < table.rows(); ++row) {
    BERTH_TRY(const int64_t at, table.integer(row, count, 1));
    BERTH_TRY(const double us, table.number(row, time, 0));
    curves[std::string(table.cell(row, layer))][at] = us * 1e-6;
  }
  if (curves.empty())
    return fail(ErrorCode::kInvalid, "no measurements", source.file + ":1",
                "profile at least one layer");
  return curves;
}

/// The weighted sum of the layers, at the points of the first one; all have the same points.
template <class Weight>
Result<core::Curve> add_up(const LayerCurves& curves, const KernelFile& source, Weight weight) {
  std::map<int64_t, double> sum;
  const auto& points = curves.begin()->second;
  for (const auto& [layer, curve] : curves)
    for (const auto& [at, unused] : points) {
      const auto found = curve.find(at);
      if (found == curve.end())
        return fail(ErrorCode::kInvalid,
                    fmt::format("layer `{}` was not measured at {}, as `{}` was", layer, at,
                                curves.begin()->first),
                    source.file + ":1", "measure all layers at the same points");
      sum[at] += weight(layer) * found->second;
    }
  core::Curve curve;
  for (const auto& [at, seconds] : sum) {
    curve.x.push_back(static_cast<double>(at));
    curve.y.push_back(seconds);
  }
  return curve;
}

Result<> read_attention(const KernelFile& source, int layers, core::KernelCost& cost) {
  constexpr std::array<std::string_view, core::KernelCost::kAxes> kColumns = {
      "prefill_chunk", "kv_prefill", "n_decode", "kv_decode"};
  BERTH_TRY(const CsvTable table, CsvTable::parse(source.text, source.file));
  std::array<size_t, kColumns.size()> column;
  for (size_t axis = 0; axis < kColumns.size(); ++axis) {
    BERTH_TRY(column[axis], table.column(kColumns[axis]));
  }
  BERTH_TRY(const size_t time, table.column("time_us"));

  std::map<std::array<int64_t, kColumns.size()>, double> measured;
  std::array<std::set<int64_t>, kColumns.size()> values;
  for (auto& axis : values) axis.insert(0);
  for (size_t row = 0; row < table.rows(); ++row) {
    std::array<int64_t, kColumns.size()> at;
    for (size_t axis = 0; axis < kColumns.size(); ++axis) {
      BERTH_TRY(at[axis], table.integer(row, column[axis], 0));
      values[axis].insert(at[axis]);
    }
    BERTH_TRY(const double us, table.number(row, time, 0));
    measured[at] = us * 1e-6 * layers;
  }
  size_t cells = 1;
  for (size_t axis = 0; axis < kColumns.size(); ++axis) {
    if (values[axis].size() < 2 || values[axis].size() > 64)
      return fail(
          ErrorCode::kInvalid,
          fmt::format("`{}` has {} different values", kColumns[axis], values[axis].size() - 1),
          source.file + ":1", "profile a grid of 1 to 63 points an axis");
    cost.axes[axis].assign(values[axis].begin(), values[axis].end());
    cells *= values[axis].size();
  }
  cost.attention_s.assign(cells, -1);
  for (const auto& [at, seconds] : measured) {
    size_t flat = 0;
    for (size_t axis = 0; axis < kColumns.size(); ++axis) {
      const auto& points = cost.axes[axis];
      const auto found =
          std::lower_bound(points.begin(), points.end(), static_cast<double>(at[axis]));
      flat = flat * points.size() + static_cast<size_t>(found - points.begin());
    }
    cost.attention_s[flat] = seconds;
  }
  return {};
}

}  // namespace

Result<core::KernelCost> parse_kernel_profile(const KernelFiles& files, int layers,
                                              double context_skew) {
  core::KernelCost cost;
  cost.context_skew = context_skew;
  BERTH_TRY(const LayerCurves dense, read_layers(files.dense, "tokens"));
  BERTH_TRY(cost.dense_s, add_up(dense, files.dense, [&](std::string_view layer) -> double {
              if (layer == "embedding" || layer == "final_layernorm") return 1;
              return layer == "layernorm" ? 2.0 * layers : layers;
            }));
  BERTH_TRY(const LayerCurves sequences, read_layers(files.per_sequence, "sequences"));
  BERTH_TRY(cost.sequences_s,
            add_up(sequences, files.per_sequence, [](std::string_view) { return 1.0; }));
  BERTH_CHECK(read_attention(files.attention, layers, cost));
  return cost;
}

}  // namespace berth::traces
