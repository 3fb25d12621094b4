#include "cli/serving/service_options.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/time.h"
#include "cli/serving/service_file.h"

namespace berth::cli {
namespace {

Result<> override_seconds(const std::string& flag, const std::string& text, double& seconds) {
  if (text.empty()) return {};
  const auto duration = parse_duration(text);
  if (!duration || duration->ns <= 0)
    return fail(ErrorCode::kInvalid, fmt::format("`{}` is no time above zero", text), flag,
                "write 2s or 60ms");
  seconds = duration->to_seconds();
  return {};
}

}  // namespace

void add_service_options(CLI::App& command, ServiceOptions& options) {
  command
      .add_option("--service", options.service, "ModelService manifest: its objective and bounds")
      ->type_name("FILE");
  command.add_option("--ttft", options.ttft, "Objective: time to first token (default 2s)")
      ->type_name("DURATION");
  command.add_option("--tpot", options.tpot, "Objective: time per token after it (default 60ms)")
      ->type_name("DURATION");
  command
      .add_option("--latency", options.latency,
                  "Objective: time to the last token (default none; given alone it stands for "
                  "the other two)")
      ->type_name("DURATION");
  command
      .add_option("--attainment", options.attainment,
                  "Objective: percent of the requests inside all (default 95)")
      ->type_name("PERCENT")
      ->check(CLI::Range(1.0, 99.999));
  command
      .add_option("--cold-start", options.cold_start,
                  "From order to ready (default: the profile's load time, else 1m)")
      ->type_name("DURATION");
  command
      .add_option("--max-in-flight", options.max_in_flight,
                  "Requests that a replica is given at once (default: its batch limit)")
      ->type_name("COUNT");
}

Result<core::ScaledService> resolve_service(const ServiceOptions& options,
                                            const core::ServingProfile& profile) {
  core::ScaledService service;
  service.profile = &profile;
  service.objective = {.ttft_s = 2, .tpot_s = 0.06, .attainment = 0.95};
  service.max_in_flight = profile.limits.max_sequences;
  if (profile.load_s > 0) service.cold_start_s = profile.load_s;
  if (!options.service.empty()) BERTH_CHECK(read_service(options.service, service));
  BERTH_CHECK(override_seconds("--latency", options.latency, service.objective.latency_s));
  if (!options.latency.empty() && options.service.empty())
    service.objective.ttft_s = service.objective.tpot_s = service.objective.latency_s;
  BERTH_CHECK(override_seconds("--ttft", options.ttft, service.objective.ttft_s));
  BERTH_CHECK(override_seconds("--tpot", options.tpot, service.objective.tpot_s));
  BERTH_CHECK(override_seconds("--cold-start", options.cold_start, service.cold_start_s));
  if (options.attainment > 0) service.objective.attainment = options.attainment / 100;
  if (options.max_in_flight > 0) service.max_in_flight = options.max_in_flight;
  return service;
}

}  // namespace berth::cli
