#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/output/print.h"
#include "cli/resources/kinds.h"
#include "cli/resources/sorting.h"
#include "cli/server/api.h"
#include "objects/json_text.h"
#include "objects/yaml.h"

namespace berth::cli {
namespace {

struct GetOptions {
  std::vector<std::string> words;
  std::string output;
  std::string label_selector;
  std::string field_selector;
  bool all_namespaces = false;
  std::string sort_by;
  bool show_labels = false;
  bool watch = false;
  bool no_headers = false;
  bool ignore_not_found = false;
};

class Get {
 public:
  Get(const Api& api, const GetOptions& options, Format format)
      : api_(api), options_(options), format_(format) {}

  Result<> run(const std::vector<Subject>& subjects) {
    if (options_.watch && subjects.size() > 1) {
      return fail(ErrorCode::kInvalid, "only one kind or object can be watched at a time");
    }
    if (options_.watch && !options_.sort_by.empty())
      return fail(ErrorCode::kInvalid, "what changes comes as it happens", "--sort-by",
                  "leave out either --sort-by or -w");
    const bool table = format_ == Format::kTable || format_ == Format::kWide;
    BERTH_CHECK(table ? print_tables(subjects) : print_objects(subjects));
    return options_.watch ? watch(subjects.front()) : Result<>{};
  }

 private:
  std::string ns() const { return options_.all_namespaces ? std::string() : api_.ns(); }

  std::string target(const Subject& subject, const std::string& extra = {}) const {
    // A single object is listed too, so that a watch can go on from the list's version.
    std::string fields = options_.field_selector;
    if (!subject.name.empty()) {
      fields += (fields.empty() ? "" : ",") + ("metadata.name=" + subject.name);
    }
    std::string parameters =
        query({{"labelSelector", options_.label_selector}, {"fieldSelector", fields}});
    if (!extra.empty()) parameters += (parameters.empty() ? "" : "&") + extra;
    return Api::path(*subject.kind, ns()) + (parameters.empty() ? "" : "?" + parameters);
  }

  Result<> not_found(const Subject& subject) const {
    if (options_.ignore_not_found) return {};
    return fail(ErrorCode::kNotFound,
                fmt::format("{} \"{}\" not found{}", subject.kind->plural, subject.name,
                            subject.kind->namespaced ? " in namespace " + api_.ns() : ""));
  }

  Result<> print_tables(const std::vector<Subject>& subjects) {
    const bool several = std::any_of(subjects.begin(), subjects.end(), [&](const Subject& s) {
      return s.kind != subjects.front().kind;
    });
    bool any = false;
    // Names of one kind make one table.
    for (size_t i = 0; i < subjects.size();) {
      const objects::Kind& kind = *subjects[i].kind;
      const std::string prefix =
          several ? resource_name(kind.group, kind.singular, "") : std::string();
      Json whole = JsonObject{{"columnDefinitions", JsonArray()}, {"rows", JsonArray()}};
      JsonArray& rows = whole.get_object()["rows"].get_array();
      for (; i < subjects.size() && subjects[i].kind == &kind; ++i) {
        // Fields to sort by are in the whole objects.
        const std::string include = options_.sort_by.empty() ? "" : "includeObject=Object";
        BERTH_TRY(Json table, api_.get(target(subjects[i], include), kAsTable));
        version_ = objects::find_string(table, {"metadata", "resourceVersion"});
        const JsonArray& found = objects::find_array(table, {"rows"});
        if (found.empty() && !subjects[i].name.empty()) BERTH_CHECK(not_found(subjects[i]));
        rows.insert(rows.end(), found.begin(), found.end());
        whole.get_object()["columnDefinitions"] = objects::find_array(table, {"columnDefinitions"});
      }
      if (!options_.sort_by.empty()) BERTH_CHECK(sort_by(rows, options_.sort_by, true));
      if (rows.empty()) continue;
      if (any) fmt::print("\n");
      any = true;
      headed_ = false;
      lines_ = TextTable();
      print(read_table(whole, format_ == Format::kWide, options_.all_namespaces && kind.namespaced,
                       prefix, options_.show_labels));
    }
    if (!any && !options_.watch && subjects.front().name.empty()) {
      const bool namespaced = subjects.front().kind->namespaced && !options_.all_namespaces;
      fmt::print(stderr, "No resources found{}.\n",
                 namespaced ? fmt::format(" in {} namespace", api_.ns()) : "");
    }
    return {};
  }

  /// The header stands over the first rows; when they are watched, later ones stay in its columns.
  void print(const PrintedTable& table) {
    if (!std::exchange(headed_, true) && !options_.no_headers) lines_.add(table.header);
    for (const auto& row : table.rows) lines_.add(row);
    fmt::print("{}", lines_.take());
  }

  Result<> print_objects(const std::vector<Subject>& subjects) {
    JsonArray items;
    const bool single = subjects.size() == 1 && !subjects.front().name.empty();
    for (const Subject& subject : subjects) {
      BERTH_TRY(Json list, api_.get(target(subject)));
      version_ = objects::find_string(list, {"metadata", "resourceVersion"});
      const JsonArray& found = objects::find_array(list, {"items"});
      if (found.empty() && !subject.name.empty()) BERTH_CHECK(not_found(subject));
      for (const Json& item : found) {
        Json whole = item;
        objects::ensure_object(whole, {})["apiVersion"] = subject.kind->api_version();
        whole.get_object()["kind"] = subject.kind->kind;
        items.push_back(std::move(whole));
      }
    }
    if (!options_.sort_by.empty()) BERTH_CHECK(sort_by(items, options_.sort_by, false));
    if (format_ == Format::kName) {
      for (const Json& item : items) print_name(item);
      return {};
    }
    if (single) {
      if (!items.empty()) print(items.front());
      return {};
    }
    print(JsonObject{{"apiVersion", "v1"},
                     {"kind", "List"},
                     {"metadata", JsonObject{{"resourceVersion", ""}}},
                     {"items", std::move(items)}});
    return {};
  }

  void print_name(const Json& object) {
    const objects::Kind* kind =
        api_.registry().find_kind(objects::api_version_of(object), objects::kind_of(object));
    if (kind != nullptr)
      fmt::print("{}\n", resource_name(kind->group, kind->singular, objects::name_of(object)));
  }

  void print(const Json& object) {
    Json shown = object;
    if (objects::find(shown, {"metadata"}) != nullptr) {
      objects::ensure_object(shown, {"metadata"}).erase("managedFields");
    }
    if (format_ == Format::kYaml) {
      fmt::print("{}", objects::to_yaml(shown));
    } else {
      fmt::print("{}\n", objects::pretty_json(shown));
    }
  }

  Result<> watch(const Subject& subject) {
    const bool table = format_ == Format::kTable || format_ == Format::kWide;
    std::fflush(stdout);
    for (;;) {
      HttpRound round(api_.endpoint());
      const std::string parameters =
          "watch=1&allowWatchBookmarks=true&resourceVersion=" + escape(version_);
      const auto on_event = [&](std::string_view, const Json& object) {
        if (table) {
          print_row(subject, object);
        } else if (format_ == Format::kName) {
          print_name(object);
        } else {
          if (format_ == Format::kYaml) fmt::print("---\n");
          print(object);
        }
        const Json& source = table ? first_row_object(object) : object;
        const std::string_view version = objects::resource_version_of(source);
        if (!version.empty()) version_ = version;
        std::fflush(stdout);
        return true;
      };
      BERTH_CHECK(api_.watch(round, target(subject, parameters),
                             table ? kAsTable : std::string_view("application/json"), on_event));
    }
  }

  static const Json& first_row_object(const Json& table) {
    static const Json kNothing;
    const JsonArray& rows = objects::find_array(table, {"rows"});
    const Json* object = rows.empty() ? nullptr : objects::find(rows[0], {"object"});
    return object == nullptr ? kNothing : *object;
  }

  void print_row(const Subject& subject, const Json& table) {
    // A watch sends the columns only once; later rows are printed by the ones it sent.
    Json whole = table;
    if (!objects::find_array(table, {"columnDefinitions"}).empty()) {
      columns_ = objects::find_array(table, {"columnDefinitions"});
    }
    objects::ensure_object(whole, {})["columnDefinitions"] = columns_;
    print(read_table(whole, format_ == Format::kWide,
                     options_.all_namespaces && subject.kind->namespaced, {},
                     options_.show_labels));
  }

  const Api& api_;
  const GetOptions& options_;
  const Format format_;
  std::string version_;
  JsonArray columns_;
  bool headed_ = false;
  TextTable lines_;
};

Result<> run(const Globals& globals, const GetOptions& options) {
  BERTH_TRY(const Format format, parse_format(options.output));
  BERTH_TRY(const Api api, Api::open(globals));
  BERTH_TRY(const std::vector<Subject> subjects, parse_subjects(api.registry(), options.words));
  return Get(api, options, format).run(subjects);
}

}  // namespace

void add_get(CLI::App& root, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<GetOptions>();
  auto* command = root.add_subcommand("get", "List objects");
  command->add_option("KIND", options->words, "Kind and names: `pods`, `pod web-0`, `job/train`")
      ->type_name("")
      ->required();
  command->add_option("-o,--output", options->output, "json, yaml, wide or name")
      ->type_name("FORMAT");
  command->add_flag("-A,--all-namespaces", options->all_namespaces, "In every namespace");
  command->add_option("-l,--selector", options->label_selector, "By labels: `app=web,tier!=db`")
      ->type_name("SELECTOR");
  command
      ->add_option("--field-selector", options->field_selector, "By fields: `status.phase=Running`")
      ->type_name("SELECTOR");
  command
      ->add_option("--sort-by", options->sort_by,
                   "By a field: `.metadata.creationTimestamp`, `.spec.weight`")
      ->type_name("FIELD");
  command->add_flag("--show-labels", options->show_labels, "With a column of labels");
  command->add_flag("-w,--watch", options->watch, "Go on printing what changes");
  command->add_flag("--no-headers", options->no_headers, "Without the line of column names");
  command->add_flag("--ignore-not-found", options->ignore_not_found,
                    "Succeed when a named object is not there");
  command->footer(
      "Examples:\n"
      "  berth get pods                    pods of the namespace\n"
      "  berth get pods -A -o wide         all pods with their nodes\n"
      "  berth get job/train -o yaml       one object, whole\n"
      "  berth get pods -l app=web -w      and what happens to them\n"
      "  berth get nodes,queues            two kinds at once\n"
      "  berth get events --sort-by .lastTimestamp\n\n"
      "Kinds: pods, jobs, deployments, replicasets, services, configmaps, secrets, nodes,\n"
      "  namespaces, queues, podgroups, events, resourcequotas, poddisruptionbudgets, ...");
  command->callback(
      [&globals, &exit_code, options] { exit_code = exit_code_of(run(globals, *options)); });
}

}  // namespace berth::cli
