#include <atomic>
#include <cstdio>
#include <memory>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/output/print.h"
#include "cli/resources/kinds.h"
#include "cli/resources/manifests.h"
#include "cli/server/api.h"
#include "cli/watching/deadline.h"

namespace berth::cli {
namespace {

struct DeleteOptions {
  std::vector<std::string> words;
  std::vector<std::string> places;
  std::string label_selector;
  std::string cascade = "background";
  std::string timeout = "0";
  int64_t grace_seconds = -1;
  bool all = false;
  bool force = false;
  bool no_wait = false;
  bool ignore_not_found = false;
};

struct Doomed {
  const objects::Kind* kind;
  std::string ns;
  std::string name;
  std::string uid = {};
};

Result<Json> body_of(const DeleteOptions& options) {
  JsonObject body{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}};
  if (options.cascade == "background") {
    body["propagationPolicy"] = "Background";
  } else if (options.cascade == "foreground") {
    body["propagationPolicy"] = "Foreground";
  } else if (options.cascade == "orphan") {
    body["propagationPolicy"] = "Orphan";
  } else {
    return fail(ErrorCode::kInvalid, "unknown --cascade `" + options.cascade + "`", "",
                "use background, foreground or orphan");
  }
  if (options.force) {
    body["gracePeriodSeconds"] = 0;
  } else if (options.grace_seconds >= 0) {
    body["gracePeriodSeconds"] = options.grace_seconds;
  }
  return body;
}

Result<std::vector<Doomed>> select(const Api& api, const DeleteOptions& options) {
  std::vector<Doomed> doomed;
  BERTH_TRY(const std::vector<Subject> subjects, parse_subjects(api.registry(), options.words));
  for (const Subject& subject : subjects) {
    const std::string ns = subject.kind->namespaced ? api.ns() : "";
    if (!subject.name.empty()) {
      doomed.push_back({subject.kind, ns, subject.name});
      continue;
    }
    if (options.label_selector.empty() && !options.all) {
      return fail(ErrorCode::kInvalid, "which ones?", "", "give names, -l LABELS, or --all");
    }
    BERTH_TRY(const std::vector<Json> items,
              api.list(*subject.kind, ns, query({{"labelSelector", options.label_selector}})));
    for (const Json& item : items) {
      doomed.push_back({subject.kind, ns, std::string(objects::name_of(item))});
    }
  }
  return doomed;
}

/// Until this incarnation of the object is gone, or the round was interrupted.
Result<> wait_gone(const Api& api, HttpRound& round, const Doomed& one,
                   const std::atomic<bool>& interrupted) {
  const std::string object = Api::path(*one.kind, one.ns, one.name);
  while (!interrupted) {
    BERTH_TRY(const std::optional<Json> live, api.find(object));
    if (!live || objects::uid_of(*live) != one.uid) return {};
    const std::string target =
        Api::path(*one.kind, one.ns) + "?" +
        query({{"watch", "1"},
               {"fieldSelector", "metadata.name=" + one.name},
               {"resourceVersion", std::string(objects::resource_version_of(*live))}});
    bool gone = false;
    const Result<> watched =
        api.watch(round, target, "application/json", [&](std::string_view type, const Json& seen) {
          gone = type == "DELETED" && objects::uid_of(seen) == one.uid;
          return !gone;
        });
    if (gone) return {};
    if (!watched && watched.error().code != ErrorCode::kGone) return watched;
  }
  return fail(ErrorCode::kTimeout,
              fmt::format("{} \"{}\" is still there", kind_name(*one.kind), one.name), "",
              "`berth describe` says what it waits for");
}

Result<> wait_all(const Api& api, const std::vector<Doomed>& doomed, Duration timeout) {
  std::atomic<bool> interrupted = false;
  HttpRound round(api.endpoint());
  const Deadline deadline(timeout, [&] {
    interrupted = true;
    round.interrupt();
  });
  for (const Doomed& one : doomed) BERTH_CHECK(wait_gone(api, round, one, interrupted));
  return {};
}

/// Asks the server to delete one object, and notes which incarnation it was.
Result<> remove_one(const Api& api, Doomed& one, const Json& body) {
  const std::string target = Api::path(*one.kind, one.ns, one.name);
  BERTH_TRY(const Json live, api.get(target));
  one.uid = objects::uid_of(live);
  BERTH_TRY(const Json removed, api.remove(target, body));
  return {};
}

int run(const Globals& globals, const DeleteOptions& options) {
  const Result<Api> api = Api::open(globals);
  if (!api) return print_error(api.error());
  const Result<Json> body = body_of(options);
  if (!body) return print_error(body.error());
  const Result<Duration> timeout = parse_duration(options.timeout);
  if (!timeout) return print_error(timeout.error());

  std::vector<Doomed> doomed;
  if (!options.places.empty()) {
    Manifests manifests = load_manifests(api->registry(), options.places);
    if (!manifests.errors.empty()) return report_all(manifests.errors);
    for (Manifest& manifest : manifests.items) {
      const Result<> placed = set_namespace(manifest, globals.ns, api->ns());
      if (!placed) return print_error(placed.error());
      doomed.push_back({manifest.kind, std::string(objects::namespace_of(manifest.object)),
                        std::string(objects::name_of(manifest.object))});
    }
  } else {
    Result<std::vector<Doomed>> selected = select(*api, options);
    if (!selected) return print_error(selected.error());
    doomed = *std::move(selected);
  }

  int exit_code = 0;
  std::vector<Doomed> going;
  for (Doomed& one : doomed) {
    const Result<> removed = remove_one(*api, one, *body);
    if (!removed) {
      const bool missing = removed.error().code == ErrorCode::kNotFound;
      if (!missing || !options.ignore_not_found) exit_code = print_error(removed.error());
      continue;
    }
    fmt::print("{} \"{}\" deleted\n", kind_name(*one.kind), one.name);
    std::fflush(stdout);
    going.push_back(std::move(one));
  }
  if (options.no_wait || options.force || going.empty()) return exit_code;
  const Result<> waited = wait_all(*api, going, *timeout);
  return waited ? exit_code : print_error(waited.error());
}

}  // namespace

void add_delete(CLI::App& root, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<DeleteOptions>();
  auto* command = root.add_subcommand("delete", "Delete objects, and wait until they are gone");
  command->add_option("KIND", options->words, "Kind and names: `pod web-0`, `job/train`")
      ->type_name("");
  command->add_option("-f,--filename", options->places, "What these manifests describe")
      ->type_name("PATH");
  command->add_option("-l,--selector", options->label_selector, "By labels")->type_name("SELECTOR");
  command->add_flag("--all", options->all, "All of the kind in the namespace");
  command
      ->add_option("--grace-period", options->grace_seconds,
                   "Seconds that a pod has to stop (default: its own)")
      ->type_name("SECONDS");
  command->add_flag("--force", options->force, "At once, without waiting for processes to stop");
  command
      ->add_option("--cascade", options->cascade,
                   "What becomes of owned objects: background, foreground or orphan")
      ->type_name("MODE");
  command->add_flag("--no-wait", options->no_wait, "Return when the server has taken note");
  command->add_option("--timeout", options->timeout, "How long to wait, such as 30s (0: no limit)")
      ->type_name("DURATION");
  command->add_flag("--ignore-not-found", options->ignore_not_found,
                    "Succeed when there is no such object");
  command->footer(
      "Examples:\n"
      "  berth delete pod web-0\n"
      "  berth delete job/train --cascade orphan\n"
      "  berth delete -f examples/training/\n"
      "  berth delete pods -l app=web --grace-period 5");
  command->callback([&globals, &exit_code, options] { exit_code = run(globals, *options); });
}

}  // namespace berth::cli
