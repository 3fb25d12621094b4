#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include "base/time.h"
#include "cli/commands.h"
#include "cli/plan_chart.h"
#include "core/scaling/models/ggc.h"
#include "core/scaling/models/sizing.h"
#include "objects/json_text.h"
#include "simulation/queueing/fcfs_queue.h"

namespace berth::cli {
namespace {

using core::LatencyObjective;
using core::QueueForecast;
using core::QueueLoad;

constexpr int kMostServers = 100'000;

struct PlanOptions {
  std::string rate, service, target, price, output = "table", svg;
  double service_cv = 1, arrival_cv = 1;
  int servers = 0;
  bool simulate = false;
  uint64_t seed = 1;
};

/// What the options mean, in units.
struct Question {
  QueueLoad load;
  LatencyObjective objective;
  std::string objective_text;
  double price_per_hour = 0;
};

std::unexpected<Error> invalid(std::string option, std::string what, std::string fix) {
  return fail(ErrorCode::kInvalid, std::move(what), std::move(option), std::move(fix));
}

/// "12/s", "700/min", "3.5/h"; a number alone is per `default_unit`. In `default_unit`s.
Result<double> parse_rate(const std::string& option, const std::string& text, char default_unit) {
  const auto seconds_of = [](char unit) { return unit == 's' ? 1.0 : unit == 'm' ? 60.0 : 3600.0; };
  const size_t slash = text.find('/');
  const std::string unit = slash == std::string::npos ? "" : text.substr(slash + 1);
  char* end = nullptr;
  const std::string number = text.substr(0, slash);
  const double value = std::strtod(number.c_str(), &end);
  const bool known_unit =
      unit.empty() || unit == "s" || unit == "min" || unit == "m" || unit == "h";
  if (number.empty() || *end != '\0' || !(value >= 0) || !std::isfinite(value) || !known_unit)
    return invalid(option, fmt::format("`{}` is not a rate", text),
                   "write a number and a unit, such as 12/s, 700/min or 2.5/h");
  return value * seconds_of(default_unit) / seconds_of(unit.empty() ? default_unit : unit[0]);
}

/// "p95<2s", "mean<500ms", "response.p99<3s".
Result<LatencyObjective> parse_target(const std::string& text) {
  const auto bad = [&] {
    return invalid("--target", fmt::format("`{}` is not an objective", text),
                   "write what is bounded and by how much: p95<2s or mean<500ms for the wait, "
                   "response.p95<3s for wait and service together");
  };
  std::string rest = text;
  LatencyObjective objective{.of = LatencyObjective::Of::kWait};
  if (rest.starts_with("response.")) {
    objective.of = LatencyObjective::Of::kResponse;
    rest.erase(0, 9);
  } else if (rest.starts_with("wait.")) {
    rest.erase(0, 5);
  }
  const size_t less = rest.find('<');
  if (less == std::string::npos) return bad();
  const std::string measure = rest.substr(0, less);
  std::string bound = rest.substr(less + 1);
  if (bound.starts_with('=')) bound.erase(0, 1);
  if (measure == "mean") {
    objective.percentile.reset();
  } else {
    char* end = nullptr;
    const double percent = measure.starts_with('p') ? std::strtod(measure.c_str() + 1, &end) : 0;
    if (end == nullptr || *end != '\0' || !(percent > 0 && percent < 100)) return bad();
    objective.percentile = percent / 100;
  }
  BERTH_TRY(const Duration duration, parse_duration(bound));
  if (duration.ns <= 0) return bad();
  objective.bound_s = duration.to_seconds();
  return objective;
}

Result<Question> read(const PlanOptions& options) {
  Question question;
  BERTH_TRY(question.load.arrivals_per_s, parse_rate("--rate", options.rate, 's'));
  if (question.load.arrivals_per_s <= 0)
    return invalid("--rate", "nothing arrives", "give a rate above 0");
  BERTH_TRY(const Duration service, parse_duration(options.service));
  if (service.ns <= 0)
    return invalid("--service", "the service time is not positive", "give one, such as 800ms");
  question.load.service_mean_s = service.to_seconds();
  for (const auto& [option, cv] :
       {std::pair("--cv", options.service_cv), {"--arrival-cv", options.arrival_cv}})
    if (!(cv >= 0 && cv <= 20))
      return invalid(option, fmt::format("{} is not a coefficient of variation", cv),
                     "give a number from 0 (constant) over 1 (exponential) to 20");
  question.load.service_cv = options.service_cv;
  question.load.arrival_cv = options.arrival_cv;
  if (options.servers < 0 || options.servers > kMostServers)
    return invalid("--servers", fmt::format("{} servers", options.servers),
                   fmt::format("give a number from 1 to {}", kMostServers));
  if (!options.target.empty()) {
    BERTH_TRY(question.objective, parse_target(options.target));
    question.objective_text = options.target;
  } else if (options.servers == 0) {
    return invalid("--target", "neither an objective nor a size is given",
                   "add --target p95<2s to find a size, or --servers N to ask about one");
  } else {
    question.objective.bound_s = std::numeric_limits<double>::infinity();
  }
  if (!options.price.empty()) {
    BERTH_TRY(question.price_per_hour, parse_rate("--price", options.price, 'h'));
  }
  if (question.load.offered() > kMostServers)
    return invalid("--rate",
                   fmt::format("the load keeps {:.0f} servers busy", question.load.offered()),
                   fmt::format("plan at most {}", kMostServers));
  return question;
}

/// The sizes around the answer: from the first stable one to a few beyond it.
std::vector<int> sizes_to_show(const Question& question, int answer, int only) {
  if (only > 0) return {only};
  const int first_stable = static_cast<int>(std::floor(question.load.offered())) + 1;
  const int last = answer + std::clamp((answer - first_stable) / 2, 2, 5);
  const int first = std::max(first_stable, last - 11);
  std::vector<int> sizes;
  for (int size = first; size <= last; ++size) sizes.push_back(size);
  return sizes;
}

boost::json::object row_json(const QueueForecast& row, double price) {
  boost::json::object json{{"servers", row.servers},
                           {"utilization", row.utilization},
                           {"stable", row.stable},
                           {"cost_per_hour", row.servers * price}};
  const auto set = [&](const char* key, double value) {
    json[key] = row.stable ? boost::json::value(value) : boost::json::value(nullptr);
  };
  set("wait_mean_s", row.wait_mean_s);
  set("wait_p95_s", row.wait_p95_s);
  set("response_mean_s", row.response_mean_s);
  set("response_p95_s", row.response_p95_s);
  return json;
}

boost::json::object sample_json(const simulation::QueueSample& sample) {
  return {{"customers", sample.customers},
          {"wait_mean_s", sample.wait_mean_s},
          {"wait_p95_s", sample.wait_p95_s},
          {"response_mean_s", sample.response_mean_s},
          {"response_p95_s", sample.response_p95_s}};
}

std::string seconds(double s) {
  if (s < 0.9995e-3) return s < 0.5e-6 ? "0" : fmt::format("{:.3g}us", s * 1e6);
  if (s < 0.9995) return fmt::format("{:.3g}ms", s * 1e3);
  return s < 100 ? fmt::format("{:.3g}s", s) : fmt::format("{:.0f}s", s);
}

std::string method_text(core::QueueMethod method) {
  switch (method) {
    case core::QueueMethod::kMarkovian:
      return "M/M/c, exact";
    case core::QueueMethod::kRandomWalk:
      return "exact mean, percentiles from two moments";
    case core::QueueMethod::kInterpolated:
      return "G/G/c, interpolated between exact neighbours";
  }
  return {};
}

void print_table(const Question& question, const std::vector<QueueForecast>& rows, int answer) {
  const QueueLoad& load = question.load;
  QueueLoad sized = load;
  sized.servers = answer;
  fmt::print("Load: {:.4g}/s x {} = {:.2f} busy servers on average ({})\n\n", load.arrivals_per_s,
             seconds(load.service_mean_s), load.offered(), method_text(core::method_for(sized)));
  const bool priced = question.price_per_hour > 0;
  fmt::print("  SERVERS  UTILISATION  WAIT MEAN  WAIT P95  RESPONSE MEAN  RESPONSE P95{}\n",
             priced ? "  COST/H" : "");
  for (const QueueForecast& row : rows) {
    const char mark = row.servers == answer && !question.objective_text.empty() ? '>' : ' ';
    if (!row.stable) {
      fmt::print("{} {:>7}  {:>10.1f}%  the queue grows without end\n", mark, row.servers,
                 100 * row.utilization);
      continue;
    }
    fmt::print("{} {:>7}  {:>10.1f}%  {:>9}  {:>8}  {:>13}  {:>12}", mark, row.servers,
               100 * row.utilization, seconds(row.wait_mean_s), seconds(row.wait_p95_s),
               seconds(row.response_mean_s), seconds(row.response_p95_s));
    if (priced) fmt::print("  {:>6.2f}", row.servers * question.price_per_hour);
    fmt::print("\n");
  }
}

void print_simulated(const QueueForecast& row, const simulation::QueueSample& sample) {
  const auto off = [](double predicted, double seen) {
    return seen > 0 ? fmt::format("{:+.1f}%", 100 * (predicted / seen - 1)) : "-";
  };
  fmt::print(
      "\nSimulated, {} customers at {} servers: wait mean {} (predicted {}), p95 {} ({});"
      " response mean {} ({}), p95 {} ({})\n",
      sample.customers, row.servers, seconds(sample.wait_mean_s),
      off(row.wait_mean_s, sample.wait_mean_s), seconds(sample.wait_p95_s),
      off(row.wait_p95_s, sample.wait_p95_s), seconds(sample.response_mean_s),
      off(row.response_mean_s, sample.response_mean_s), seconds(sample.response_p95_s),
      off(row.response_p95_s, sample.response_p95_s));
}

Result<> plan(const PlanOptions& options) {
  BERTH_TRY(const Question question, read(options));
  const auto smallest = question.objective_text.empty()
                            ? std::optional<int>(options.servers)
                            : core::servers_for(question.load, question.objective, kMostServers);
  if (!smallest)
    return invalid("--target",
                   fmt::format("no number of servers reaches {}: service alone takes longer",
                               question.objective_text),
                   "relax it, or bound the wait (p95<...) instead of the response");
  const int answer = *smallest;

  std::vector<QueueForecast> rows;
  for (int size : sizes_to_show(question, answer, options.servers)) {
    QueueLoad load = question.load;
    load.servers = size;
    rows.push_back(core::forecast(load, question.objective));
  }
  const auto asked = std::find_if(rows.begin(), rows.end(), [&](const QueueForecast& row) {
    return row.servers == (options.servers > 0 ? options.servers : answer);
  });
  std::optional<simulation::QueueSample> sample;
  if (options.simulate && asked->stable) {
    QueueLoad load = question.load;
    load.servers = asked->servers;
    sample = simulation::simulate_queue(load, 1'000'000, options.seed);
  }
  if (!options.svg.empty()) {
    std::ofstream file(options.svg);
    file << plan_svg(rows, question.objective, answer);
    file.flush();
    if (!file) return fail(ErrorCode::kInternal, "cannot be written", options.svg);
  }
  if (options.output == "json") {
    boost::json::array json_rows;
    for (const QueueForecast& row : rows)
      json_rows.push_back(row_json(row, question.price_per_hour));
    boost::json::object json{{"servers", answer}, {"rows", std::move(json_rows)}};
    if (!question.objective_text.empty()) json["target"] = question.objective_text;
    if (sample) json["simulated"] = sample_json(*sample);
    fmt::print("{}\n", objects::pretty_json(json));
    return {};
  }
  print_table(question, rows, answer);
  if (rows.size() > 1) fmt::print("\n{}", plan_bars(rows, question.objective));
  if (sample) print_simulated(*asked, *sample);
  if (!question.objective_text.empty())
    fmt::print("\n{} servers are the fewest with {} {}.\n", answer,
               question.objective.of == LatencyObjective::Of::kWait ? "wait" : "response",
               question.objective_text);
  return {};
}

}  // namespace

void add_plan(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<PlanOptions>();
  auto* command = root.add_subcommand(
      "plan", "How many servers a load needs, by queueing theory: sizes, waits and cost");
  command->add_option("--rate", options->rate, "Arrivals: 12/s, 700/min, 40/h")
      ->type_name("RATE")
      ->required();
  command->add_option("--service", options->service, "Mean service time of one request: 800ms, 2s")
      ->type_name("DURATION")
      ->required();
  command
      ->add_option("--cv", options->service_cv,
                   "Coefficient of variation of service times: 0 constant, 1 exponential")
      ->type_name("CV")
      ->capture_default_str();
  command
      ->add_option("--arrival-cv", options->arrival_cv,
                   "The same of the gaps between arrivals: 1 is Poisson, more is bursty")
      ->type_name("CV")
      ->capture_default_str();
  command
      ->add_option("--target", options->target,
                   "Objective: p95<2s or mean<1s for the wait in the queue, response.p95<3s for "
                   "wait and service together")
      ->type_name("OBJECTIVE");
  command->add_option("--servers", options->servers, "Ask about this size only")
      ->type_name("COUNT");
  command->add_option("--price", options->price, "Price of one server: 2.5/h")->type_name("PRICE");
  command->add_flag("--simulate", options->simulate, "Check the answer with a million customers");
  command->add_option("--seed", options->seed, "Seed of the simulation")
      ->type_name("SEED")
      ->capture_default_str();
  command->add_option("--svg", options->svg, "Write a plot to this file")->type_name("FILE");
  command->add_option("-o,--output", options->output, "table or json")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json"}));
  command->footer(
      "Example:\n  berth plan --rate 12/s --service 800ms --cv 1.4 --target 'p95<2s' --price "
      "2.5/h");
  command->callback([options, &exit_code] {
    const Result<> done = plan(*options);
    if (done) {
      exit_code = 0;
      return;
    }
    fmt::print(stderr, "berth plan: {}\n", done.error().to_string());
    exit_code = done.error().code == ErrorCode::kInvalid ? 2 : 1;
  });
}

}  // namespace berth::cli
