#include <algorithm>
#include <map>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/output/amounts.h"
#include "cli/output/print.h"
#include "cli/server/api.h"
#include "cli/tenants/queue_tree.h"

namespace berth::cli {
namespace {

struct TopOptions {
  bool all_namespaces = false;
  bool containers = false;
  std::string label_selector;
  std::string sort_by = "cpu";
};

Amounts usage_of(const Json& sample) {
  return read_amounts(objects::find_object(sample, {"usage"}));
}

std::string cpu_text(const Amounts& usage) {
  const auto at = usage.find("cpu");
  return at == usage.end() ? "-" : fmt::format("{}m", at->second.milli());
}

std::string memory_text(const Amounts& usage) {
  const auto at = usage.find("memory");
  return at == usage.end() ? "-" : short_amount("memory", at->second);
}

std::string share_text(const Amounts& usage, const Amounts& whole, std::string_view resource) {
  const auto used = usage.find(resource);
  const auto all = whole.find(resource);
  if (used == usage.end() || all == whole.end() || all->second.milli() == 0) return "-";
  return fmt::format("{}%", static_cast<int64_t>(static_cast<double>(used->second.milli()) * 100 /
                                                 static_cast<double>(all->second.milli())));
}

Result<> top_nodes(const Globals& globals) {
  BERTH_TRY(const Api api, Api::open(globals));
  BERTH_TRY(const std::vector<Json> samples, api.list(api.kind("metrics.k8s.io", "nodes"), ""));
  BERTH_TRY(const std::vector<Json> nodes, api.list(api.kind("", "nodes"), ""));
  TextTable table({"NAME", "CPU(cores)", "CPU%", "MEMORY(bytes)", "MEMORY%"});
  for (const Json& node : nodes) {
    const std::string_view name = objects::name_of(node);
    const auto sample = std::find_if(samples.begin(), samples.end(), [&](const Json& candidate) {
      return objects::name_of(candidate) == name;
    });
    const Amounts usage = sample == samples.end() ? Amounts{} : usage_of(*sample);
    const Amounts whole = read_amounts(objects::find_object(node, {"status", "allocatable"}));
    table.add({std::string(name), cpu_text(usage), share_text(usage, whole, "cpu"),
               memory_text(usage), share_text(usage, whole, "memory")});
  }
  fmt::print("{}", table.to_string());
  return {};
}

Result<> top_pods(const Globals& globals, const TopOptions& options) {
  if (options.sort_by != "cpu" && options.sort_by != "memory") {
    return fail(ErrorCode::kInvalid, "unknown --sort-by `" + options.sort_by + "`", "",
                "use cpu or memory");
  }
  BERTH_TRY(const Api api, Api::open(globals));
  const std::string ns = options.all_namespaces ? "" : api.ns();
  BERTH_TRY(const std::vector<Json> samples,
            api.list(api.kind("metrics.k8s.io", "pods"), ns,
                     query({{"labelSelector", options.label_selector}})));
  struct Row {
    std::vector<std::string> cells;
    int64_t weight;
  };
  std::vector<Row> rows;
  const auto add = [&](const Json& sample, const Amounts& usage, const std::string& container) {
    Row row{{}, 0};
    if (options.all_namespaces) row.cells.emplace_back(objects::namespace_of(sample));
    row.cells.emplace_back(objects::name_of(sample));
    if (options.containers) row.cells.push_back(container);
    row.cells.push_back(cpu_text(usage));
    row.cells.push_back(memory_text(usage));
    const auto at = usage.find(options.sort_by);
    row.weight = at == usage.end() ? 0 : at->second.milli();
    rows.push_back(std::move(row));
  };
  for (const Json& sample : samples) {
    Amounts total;
    for (const Json& container : objects::find_array(sample, {"containers"})) {
      const Amounts usage = usage_of(container);
      if (options.containers) {
        add(sample, usage, std::string(objects::find_string(container, {"name"})));
      }
      add_amounts(total, usage);
    }
    if (!options.containers) add(sample, total, "");
  }
  if (rows.empty()) {
    fmt::print(stderr, "No usage is known (yet): pods are sampled while they run.\n");
    return {};
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.weight > b.weight; });
  std::vector<std::string> header;
  if (options.all_namespaces) header.emplace_back("NAMESPACE");
  header.emplace_back("NAME");
  if (options.containers) header.emplace_back("CONTAINER");
  header.emplace_back("CPU(cores)");
  header.emplace_back("MEMORY(bytes)");
  TextTable table(std::move(header));
  for (Row& row : rows) table.add(std::move(row.cells));
  fmt::print("{}", table.to_string());
  return {};
}

Result<> top_queues(const Globals& globals) {
  BERTH_TRY(const Api api, Api::open(globals));
  BERTH_TRY(const std::vector<Json> queues, api.list(api.kind("berth.dev", "queues"), ""));
  fmt::print("{}", queue_tree(queues));
  return {};
}

}  // namespace

void add_top(CLI::App& root, const Globals& globals, int& exit_code) {
  auto options = std::make_shared<TopOptions>();
  auto* command = root.add_subcommand("top", "Who uses how much, as measured");
  command->require_subcommand(1);
  const auto set = [&exit_code](const Result<>& done) { exit_code = exit_code_of(done); };
  auto* nodes = command->add_subcommand("nodes", "CPU and memory of nodes")->alias("node");
  nodes->footer("Example:\n  berth top nodes");
  nodes->callback([&globals, set] { set(top_nodes(globals)); });
  auto* pods = command->add_subcommand("pods", "CPU and memory of pods")->alias("pod");
  pods->add_flag("-A,--all-namespaces", options->all_namespaces, "In every namespace");
  pods->add_flag("--containers", options->containers, "One line a container");
  pods->add_option("-l,--selector", options->label_selector, "By labels")->type_name("SELECTOR");
  pods->add_option("--sort-by", options->sort_by, "cpu (default) or memory")->type_name("FIELD");
  pods->footer("Example:\n  berth top pods -A --sort-by memory");
  pods->callback([&globals, options, set] { set(top_pods(globals, *options)); });
  auto* queues = command->add_subcommand("queues", "What queues hold and may hold")->alias("queue");
  queues->footer("Example:\n  berth top queues");
  queues->callback([&globals, set] { set(top_queues(globals)); });
  command->footer(
      "Examples:\n  berth top nodes\n  berth top pods -A --sort-by memory\n  berth top queues");
}

}  // namespace berth::cli
