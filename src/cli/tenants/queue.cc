#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/output/amounts.h"
#include "cli/output/print.h"
#include "cli/server/api.h"
#include "cli/tenants/queue_tree.h"
#include "cli/tenants/tenants.h"

namespace berth::cli {
namespace {

Result<> list(const Globals& globals) {
  BERTH_TRY(const Api api, Api::open(globals));
  BERTH_TRY(const Json table, api.get(Api::path(api.kind("berth.dev", "queues"), ""), kAsTable));
  const PrintedTable printed = read_table(table, true, false);
  TextTable text(printed.header);
  for (const auto& row : printed.rows) text.add(row);
  fmt::print("{}", text.to_string());
  return {};
}

Result<> tree(const Globals& globals) {
  BERTH_TRY(const Api api, Api::open(globals));
  BERTH_TRY(const std::vector<Json> queues, api.list(api.kind("berth.dev", "queues"), ""));
  fmt::print("{}", queue_tree(queues));
  return {};
}

Result<> create(const Globals& globals, const QueueOptions& options) {
  BERTH_TRY(const Json spec, queue_spec(options));
  BERTH_TRY(const Api api, Api::open(globals));
  const objects::Kind& kind = api.kind("berth.dev", "queues");
  BERTH_TRY(const Json made, api.create(Api::path(kind, "") + "?fieldValidation=Strict",
                                        JsonObject{{"apiVersion", kind.api_version()},
                                                   {"kind", "Queue"},
                                                   {"metadata", JsonObject{{"name", options.name}}},
                                                   {"spec", spec}}));
  fmt::print("queue.berth.dev/{} created\n", options.name);
  return {};
}

Result<> set(const Globals& globals, const QueueOptions& options) {
  BERTH_TRY(const Json spec, queue_spec(options));
  if (spec.get_object().empty()) {
    return fail(ErrorCode::kInvalid, "nothing to set", "", "give --weight, --guarantee or --limit");
  }
  BERTH_TRY(const Api api, Api::open(globals));
  BERTH_TRY(const Json changed,
            api.patch(Api::path(api.kind("berth.dev", "queues"), "", options.name),
                      JsonObject{{"spec", spec}}));
  fmt::print("queue.berth.dev/{} configured\n", options.name);
  return {};
}

}  // namespace

Result<Json> queue_spec(const QueueOptions& options) {
  JsonObject spec;
  if (!options.parent.empty()) spec["parent"] = options.parent;
  if (options.weight > 0) spec["weight"] = options.weight;
  if (!options.guarantee.empty()) {
    BERTH_TRY(const Amounts amounts, parse_amounts(options.guarantee));
    spec["guaranteed"] = to_json(amounts);
  }
  if (!options.limit.empty()) {
    BERTH_TRY(const Amounts amounts, parse_amounts(options.limit));
    spec["limit"] = to_json(amounts);
  }
  if (!options.reclaim.empty()) spec["reclaim"] = options.reclaim;
  return spec;
}

void add_queue(CLI::App& root, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<QueueOptions>();
  auto* command = root.add_subcommand("queue", "Who is entitled to what");
  command->require_subcommand(1);
  const auto settle = [&exit_code](const Result<>& done) { exit_code = exit_code_of(done); };
  auto* ls = command->add_subcommand("ls", "List queues");
  ls->footer("Example:\n  berth queue ls");
  ls->callback([&globals, settle] { settle(list(globals)); });
  auto* as_tree =
      command->add_subcommand("tree", "Queues with what they are guaranteed, may use and do use");
  as_tree->footer("Example:\n  berth queue tree");
  as_tree->callback([&globals, settle] { settle(tree(globals)); });
  for (const bool creates : {true, false}) {
    auto* sub = command->add_subcommand(creates ? "create" : "set",
                                        creates ? "Make a queue" : "Change a queue");
    sub->add_option("NAME", options->name, "Of the queue")->type_name("")->required();
    sub->add_option("--parent", options->parent, "The queue above it")->type_name("QUEUE");
    sub->add_option("--weight", options->weight, "Its part of what nobody is guaranteed")
        ->type_name("WEIGHT")
        ->check([](const std::string& text) {
          double weight = 0;
          return CLI::detail::lexical_cast(text, weight) && weight > 0
                     ? std::string()
                     : "must be a number above 0, not " + text;
        });
    sub->add_option("--guarantee", options->guarantee, "What it gets when it asks")
        ->type_name("RESOURCES");
    sub->add_option("--limit", options->limit, "What it never exceeds")->type_name("RESOURCES");
    sub->add_option("--reclaim", options->reclaim, "fairShare or guarantee")->type_name("POLICY");
    sub->footer(creates ? "Example:\n  berth queue create research --weight 3 --guarantee "
                          "nvidia.com/gpu=4,cpu=32"
                        : "Example:\n  berth queue set research --limit nvidia.com/gpu=6");
    sub->callback([&globals, options, settle, creates] {
      settle(creates ? create(globals, *options) : set(globals, *options));
    });
  }
  command->footer(
      "Examples:\n"
      "  berth queue tree\n"
      "  berth queue create research --weight 3 --guarantee nvidia.com/gpu=4,cpu=32\n"
      "  berth queue set research --limit nvidia.com/gpu=6");
}

}  // namespace berth::cli
