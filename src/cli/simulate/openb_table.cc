#include "cli/simulate/openb_table.h"

#include <string>

#include <fmt/format.h>

namespace berth::cli {
namespace {

struct Column {
  std::string_view title;
  std::string_view figure;
};

constexpr Column kColumns[] = {{"allocated@100", "allocated_percent_at_100"},
                               {"allocated@130", "allocated_percent_at_130"},
                               {"fragmented@95", "fragmented_percent_at_95"},
                               {"upper bound", "upper_bound_percent"},
                               {"share of it", "share_of_bound_percent"}};

void print_row(std::string_view policy, std::string_view seed, const JsonObject& figures,
               const JsonObject* half_widths) {
  fmt::print("{:<12} {:>6}", policy, seed);
  for (const Column& column : kColumns) {
    const auto figure = figures.find(column.figure);
    if (figure == figures.end()) continue;
    std::string text = fmt::format("{:.2f}%", figure->value().to_number<double>());
    if (half_widths != nullptr)
      text += fmt::format(" +-{:.2f}", half_widths->at(column.figure).to_number<double>());
    fmt::print(" {:>15}", text);
  }
  const double seconds = figures.at("decision_seconds").to_number<double>();
  const double decisions = figures.at("decisions").to_number<double>();
  fmt::print(" {:>9.1f} {:>12.0f}\n", figures.at("placed").to_number<double>(),
             seconds > 0 ? decisions / seconds : 0);
}

}  // namespace

void print_openb_table(const JsonArray& policies) {
  const JsonObject& first = policies.at(0).as_object().at("mean").as_object();
  fmt::print("{:<12} {:>6}", "policy", "seed");
  for (const Column& column : kColumns) {
    if (first.contains(column.figure)) fmt::print(" {:>15}", column.title);
  }
  fmt::print(" {:>9} {:>12}\n", "placed", "decisions/s");
  for (const Json& entry : policies) {
    const JsonObject& policy = entry.as_object();
    const std::string_view name = policy.at("policy").as_string();
    const JsonArray& seeds = policy.at("seeds").as_array();
    if (policies.size() == 1) {
      for (const Json& seed : seeds) {
        const JsonObject& row = seed.as_object();
        print_row(name, std::to_string(row.at("seed").to_number<uint64_t>()), row, nullptr);
      }
    }
    print_row(name, "mean", policy.at("mean").as_object(),
              seeds.size() > 1 ? &policy.at("confidence_95").as_object() : nullptr);
  }
}

}  // namespace berth::cli
