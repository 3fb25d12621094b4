#include "documents/demand_report.h"

#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace berth::documents {
namespace {

using core::ServiceSample;

constexpr size_t kMostModels = 10'000;

struct Field {
  std::string_view name;
  double ServiceSample::* value;
};
constexpr std::array kFields = {
    Field{"arrivals", &ServiceSample::arrivals},
    Field{"promptTokens", &ServiceSample::prompt_tokens},
    Field{"promptTokensSquared", &ServiceSample::prompt_tokens2},
    Field{"ended", &ServiceSample::ended},
    Field{"outputTokens", &ServiceSample::output_tokens},
    Field{"missed", &ServiceSample::missed},
    Field{"requestSeconds", &ServiceSample::concurrency},
    Field{"waitingSeconds", &ServiceSample::waiting},
};

std::unexpected<Error> wrong(std::string what) {
  return fail(ErrorCode::kInvalid, std::move(what), "a report of demand",
              "send what `berth gateway` of this version sends");
}

bool read_number(const Json& value, double least, double& number) {
  if (!value.is_number()) return false;
  number = value.to_number<double>();
  return std::isfinite(number) && number >= least;
}

Result<ModelDemand> read_model(const Json& document) {
  ModelDemand demand;
  demand.model = objects::find_string(document, {"model"});
  if (demand.model.empty()) return wrong("a model without a name");
  for (const Field& field : kFields) {
    const Json* value = objects::find(document, {field.name});
    if (value != nullptr && !read_number(*value, 0, demand.sample.*field.value))
      return wrong(fmt::format("{}: {} is no number of at least 0", demand.model, field.name));
  }
  demand.held = objects::find_bool(document, {"held"});
  for (const Json& row : objects::find_array(document, {"served"})) {
    const JsonArray* numbers = row.if_array();
    std::array<double, 5> values{};
    bool good = numbers != nullptr && numbers->size() >= values.size() &&
                numbers->size() <= values.size() + 1 && demand.served.size() < kMostServed;
    for (size_t i = 0; good && i < values.size(); ++i)
      good = read_number((*numbers)[i], i == 2 ? -1 : 0, values[i]) && values[i] < 1e9;
    const Json* pod = good && numbers->size() > values.size() ? &numbers->back() : nullptr;
    if (!good || (pod != nullptr && !pod->is_string()))
      return wrong(
          fmt::format("{}: an answered request is not five numbers and its server", demand.model));
    demand.served.push_back({.request = {.prompt_tokens = static_cast<int>(values[0]),
                                         .output_tokens = static_cast<int>(values[1]),
                                         .first_token_s = values[2],
                                         .total_s = values[3],
                                         .in_flight = values[4]},
                             .pod = pod == nullptr ? "" : std::string(pod->get_string())});
  }
  return demand;
}

}  // namespace

Json reports_to_document(const std::vector<DemandReport>& reports) {
  JsonArray windows;
  for (const DemandReport& report : reports) {
    JsonArray models;
    for (const ModelDemand& demand : report.models) {
      JsonObject model{{"model", demand.model}, {"held", demand.held}};
      for (const Field& field : kFields)
        if (demand.sample.*field.value != 0) model[field.name] = demand.sample.*field.value;
      JsonArray served;
      for (const auto& [each, pod] : demand.served) {
        JsonArray row{each.prompt_tokens, each.output_tokens, each.first_token_s, each.total_s,
                      each.in_flight};
        if (!pod.empty()) row.emplace_back(pod);
        served.push_back(std::move(row));
      }
      if (!served.empty()) model["served"] = std::move(served);
      models.emplace_back(std::move(model));
    }
    windows.emplace_back(JsonObject{{"gateway", report.gateway},
                                    {"sequence", report.sequence},
                                    {"second", report.second},
                                    {"models", std::move(models)}});
  }
  return JsonObject{{"reports", std::move(windows)}};
}

Result<std::vector<DemandReport>> reports_from_document(const Json& document) {
  std::vector<DemandReport> reports;
  for (const Json& row : objects::find_array(document, {"reports"})) {
    DemandReport report{.gateway = std::string(objects::find_string(row, {"gateway"})),
                        .sequence = objects::find_int(row, {"sequence"}),
                        .second = objects::find_int(row, {"second"}),
                        .models = {}};
    if (report.gateway.empty()) return wrong("no gateway is named");
    const JsonArray& models = objects::find_array(row, {"models"});
    if (models.size() > kMostModels) return wrong("too many models");
    for (const Json& model : models) {
      BERTH_TRY(ModelDemand demand, read_model(model));
      report.models.push_back(std::move(demand));
    }
    reports.push_back(std::move(report));
  }
  if (reports.empty()) return wrong("there is no report in it");
  return reports;
}

}  // namespace berth::documents
