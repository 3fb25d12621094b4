#include <algorithm>
#include <memory>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/output/explanation.h"
#include "cli/output/outline.h"
#include "cli/output/print.h"
#include "cli/resources/kinds.h"
#include "cli/server/api.h"

namespace berth::cli {
namespace {

struct DescribeOptions {
  std::vector<std::string> words;
  std::string label_selector;
};

std::string time_of(const Json& event) {
  std::string_view at = objects::find_string(event, {"lastTimestamp"});
  if (at.empty()) at = objects::find_string(event, {"eventTime"});
  if (at.empty()) at = objects::find_string(event, {"metadata", "creationTimestamp"});
  return std::string(at);
}

Result<std::string> events_of(const Api& api, const Json& object, Time now) {
  BERTH_TRY(std::vector<Json> events,
            api.list(api.kind("", "events"), objects::namespace_of(object),
                     query({{"fieldSelector",
                             fmt::format("involvedObject.uid={}", objects::uid_of(object))}})));
  if (events.empty()) return std::string("Events:  <none>\n");
  std::stable_sort(events.begin(), events.end(),
                   [](const Json& a, const Json& b) { return time_of(a) < time_of(b); });
  TextTable table({"  TYPE", "REASON", "AGE", "FROM", "MESSAGE"});
  for (const Json& event : events) {
    const int64_t count = objects::find_int(event, {"count"}, 1);
    std::string age = age_of(time_of(event), now);
    if (count > 1) age += fmt::format(" (x{})", count);
    std::string_view from = objects::find_string(event, {"source", "component"});
    if (from.empty()) from = objects::find_string(event, {"reportingComponent"});
    table.add({fmt::format("  {}", objects::find_string(event, {"type"})),
               std::string(objects::find_string(event, {"reason"})), age, std::string(from),
               std::string(objects::find_string(event, {"message"}))});
  }
  return "Events:\n" + table.to_string();
}

/// Why a pod waits, where the server can say so.
std::string waiting_of(const Api& api, const Json& pod) {
  if (objects::find_string(pod, {"kind"}) != "Pod" ||
      !objects::find_string(pod, {"spec", "nodeName"}).empty()) {
    return {};
  }
  const Result<Json> explained =
      api.get(fmt::format("/berth/v1/explain/namespaces/{}/pods/{}",
                          escape(objects::namespace_of(pod)), escape(objects::name_of(pod))));
  if (!explained) return {};
  const std::string summary = explain_line(*explained);
  return summary.empty() ? std::string()
                         : fmt::format("Waits:  {}\n        (`berth explain pod {}` for more)\n",
                                       summary, objects::name_of(pod));
}

Result<> describe(const Api& api, const Json& object, Time now) {
  fmt::print("{}", outline(object, now));
  fmt::print("{}", waiting_of(api, object));
  BERTH_TRY(const std::string events, events_of(api, object, now));
  fmt::print("{}", events);
  return {};
}

Result<> run(const Globals& globals, const DescribeOptions& options) {
  BERTH_TRY(const Api api, Api::open(globals));
  BERTH_TRY(const std::vector<Subject> subjects, parse_subjects(api.registry(), options.words));
  const Time now = globals.clock->now();
  bool first = true;
  for (const Subject& subject : subjects) {
    std::vector<Json> found;
    if (subject.name.empty()) {
      BERTH_TRY(found, api.list(*subject.kind, api.ns(),
                                query({{"labelSelector", options.label_selector}})));
    } else {
      BERTH_TRY(Json one, api.get(Api::path(*subject.kind, api.ns(), subject.name)));
      found.push_back(std::move(one));
    }
    for (const Json& object : found) {
      if (!std::exchange(first, false)) fmt::print("\n");
      BERTH_CHECK(describe(api, object, now));
    }
  }
  if (first) fmt::print(stderr, "No resources found.\n");
  return {};
}

}  // namespace

void add_describe(CLI::App& root, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<DescribeOptions>();
  auto* command = root.add_subcommand(
      "describe", "Say all about objects: fields, conditions, why it waits, events");
  command->add_option("KIND", options->words, "Kind and names: `pod web-0`, `job/train`")
      ->type_name("")
      ->required();
  command->add_option("-l,--selector", options->label_selector, "By labels")->type_name("SELECTOR");
  command->footer(
      "Examples:\n"
      "  berth describe pod web-0\n"
      "  berth describe deploy/web queue/research\n"
      "  berth describe nodes");
  command->callback(
      [&globals, &exit_code, options] { exit_code = exit_code_of(run(globals, *options)); });
}

}  // namespace berth::cli
