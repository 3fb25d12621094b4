#include <cstdio>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/output/print.h"
#include "cli/server/api.h"
#include "cli/watching/pods_of.h"

namespace berth::cli {
namespace {

struct LogsOptions {
  std::string subject;
  std::string container;
  std::string since;
  int64_t tail = -1;
  bool follow = false;
  bool previous = false;
  bool timestamps = false;
};

/// Whole lines of several logs on one stdout, each after its prefix.
class LinePrinter {
 public:
  void print(const std::string& prefix, std::string_view lines) {
    const std::lock_guard lock(mutex_);
    while (!lines.empty()) {
      const size_t end = lines.find('\n');
      const std::string_view line = lines.substr(0, end);
      fmt::print("{}{}\n", prefix, line);
      lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
    }
    std::fflush(stdout);
  }

 private:
  std::mutex mutex_;
};

bool has_started(const Json& pod) {
  return objects::find_string(pod, {"status", "phase"}, "Pending") != "Pending";
}

/// A pod that is followed before it runs is waited for.
Result<> wait_started(const Api& api, const Json& pod) {
  if (has_started(pod)) return {};
  const std::string name(objects::name_of(pod));
  fmt::print(stderr, "pod {} has not started yet; `berth explain pod {}` says why\n", name, name);
  const objects::Kind& kind = api.kind("", "pods");
  const std::string ns(objects::namespace_of(pod));
  bool started = false;
  bool deleted = false;
  std::string version(objects::resource_version_of(pod));
  while (!started && !deleted) {
    HttpRound round(api.endpoint());
    const std::string target = Api::path(kind, ns) + "?" +
                               query({{"watch", "1"},
                                      {"fieldSelector", "metadata.name=" + name},
                                      {"resourceVersion", version}});
    const Result<> watched =
        api.watch(round, target, "application/json", [&](std::string_view type, const Json& seen) {
          version = objects::resource_version_of(seen);
          started = has_started(seen);
          deleted = type == "DELETED";
          return !started && !deleted;
        });
    if (!watched) {
      if (watched.error().code != ErrorCode::kGone) return watched;
      BERTH_TRY(const Json now, api.get(Api::path(kind, ns, name)));
      started = has_started(now);
      version = objects::resource_version_of(now);
    }
  }
  if (!started) return fail(ErrorCode::kNotFound, "pod " + name + " was deleted before it started");
  return {};
}

Result<> print_log(const Api& api, const Json& pod, const std::string& container,
                   const LogsOptions& options, const std::string& prefix, LinePrinter& printer) {
  if (options.follow) BERTH_CHECK(wait_started(api, pod));
  std::string since;
  if (!options.since.empty()) {
    BERTH_TRY(const Duration age, parse_duration(options.since));
    since = std::to_string(std::max<int64_t>(1, age.ns / 1'000'000'000));
  }
  HttpCall call;
  call.accept = "*/*";
  call.target =
      Api::path(api.kind("", "pods"), objects::namespace_of(pod), objects::name_of(pod), "log") +
      "?" +
      query({{"container", container},
             {"follow", options.follow ? "true" : ""},
             {"previous", options.previous ? "true" : ""},
             {"timestamps", options.timestamps ? "true" : ""},
             {"sinceSeconds", since},
             {"tailLines", options.tail < 0 ? "" : std::to_string(options.tail)}});
  HttpRound round(api.endpoint());
  std::string rest;
  BERTH_TRY(const HttpAnswer answer, round.stream(call, [&](std::string_view bytes) {
    if (prefix.empty()) {
      std::fwrite(bytes.data(), 1, bytes.size(), stdout);
      return std::fflush(stdout) == 0;
    }
    rest += bytes;
    const size_t end = rest.rfind('\n');
    if (end == std::string::npos) return true;
    printer.print(prefix, std::string_view(rest).substr(0, end + 1));
    rest.erase(0, end + 1);
    return true;
  }));
  if (!rest.empty()) printer.print(prefix, rest);
  if (answer.status / 100 != 2) return std::unexpected(error_of(answer));
  return {};
}

struct Source {
  Json pod;
  std::string container;
};

std::vector<Source> sources_of(const std::vector<Json>& pods, const LogsOptions& options) {
  std::vector<Source> sources;
  for (const Json& pod : pods) {
    if (!options.container.empty()) {
      sources.push_back({pod, options.container});
      continue;
    }
    for (const Json& container : objects::find_array(pod, {"spec", "containers"})) {
      sources.push_back({pod, std::string(objects::find_string(container, {"name"}))});
    }
  }
  return sources;
}

Result<> run(const Globals& globals, const LogsOptions& options) {
  BERTH_TRY(const Api api, Api::open(globals));
  BERTH_TRY(const std::vector<Json> pods, pods_of(api, options.subject));
  if (pods.empty()) {
    return fail(ErrorCode::kNotFound, options.subject + " has no pods (yet)", "",
                "`berth describe " + options.subject + "` says why");
  }
  const std::vector<Source> sources = sources_of(pods, options);
  LinePrinter printer;
  if (sources.size() == 1) {
    return print_log(api, sources[0].pod, sources[0].container, options, "", printer);
  }
  Result<> outcome;
  std::mutex mutex;
  const auto print_one = [&](const Source& source) {
    const std::string prefix = fmt::format(
        "[{}{}{}] ", objects::name_of(source.pod),
        options.container.empty() && sources.size() > pods.size() ? "/" : "",
        options.container.empty() && sources.size() > pods.size() ? source.container : "");
    Result<> done = print_log(api, source.pod, source.container, options, prefix, printer);
    const std::lock_guard lock(mutex);
    if (!done && outcome) outcome = std::move(done);
  };
  if (!options.follow) {
    for (const Source& source : sources) print_one(source);
    return outcome;
  }
  std::vector<std::thread> threads;
  threads.reserve(sources.size());
  for (const Source& source : sources) threads.emplace_back([&] { print_one(source); });
  for (std::thread& thread : threads) thread.join();
  return outcome;
}

}  // namespace

void add_logs(CLI::App& root, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<LogsOptions>();
  auto* command = root.add_subcommand("logs", "Print what containers wrote");
  command->add_option("POD", options->subject, "A pod, or job/X, deploy/X: all of its pods")
      ->type_name("")
      ->required();
  command->add_flag("-f,--follow", options->follow, "Go on as it is written");
  command->add_flag("-p,--previous", options->previous, "Of the container's last run before this");
  command->add_option("-c,--container", options->container, "Only this container")
      ->type_name("NAME");
  command->add_option("--tail", options->tail, "Only the last lines")->type_name("LINES");
  command->add_option("--since", options->since, "Only what is younger, such as 10m")
      ->type_name("DURATION");
  command->add_flag("--timestamps", options->timestamps, "With the time of each line");
  command->footer(
      "Examples:\n"
      "  berth logs web-0\n"
      "  berth logs -f job/train            both workers, each line with its pod\n"
      "  berth logs web-0 --previous --tail 50");
  command->callback(
      [&globals, &exit_code, options] { exit_code = exit_code_of(run(globals, *options)); });
}

}  // namespace berth::cli
