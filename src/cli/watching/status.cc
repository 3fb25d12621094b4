#include <algorithm>
#include <map>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/output/amounts.h"
#include "cli/output/explanation.h"
#include "cli/output/outline.h"
#include "cli/output/print.h"
#include "cli/server/api.h"
#include "cli/tenants/queue_tree.h"
#include "objects/json_text.h"

namespace berth::cli {
namespace {

constexpr size_t kWaitersShown = 8;

Json parse_annotation(const Json& object, std::string_view name) {
  const std::string_view text = objects::find_string(object, {"metadata", "annotations", name});
  auto parsed = objects::parse_json(text.empty() ? "null" : text);
  return parsed ? std::move(parsed->value) : Json(nullptr);
}

std::string full_name(const Json& pod) {
  return fmt::format("{}/{}", objects::namespace_of(pod), objects::name_of(pod));
}

bool has_ended(const Json& pod) {
  const std::string_view phase = objects::find_string(pod, {"status", "phase"});
  return phase == "Succeeded" || phase == "Failed";
}

class Overview {
 public:
  Overview(const Api& api, Time now) : api_(api), now_(now), colour_(stdout_has_colour()) {}

  Result<> run() {
    BERTH_TRY(const std::vector<Json> nodes, api_.list(api_.kind("", "nodes"), ""));
    auto pods = api_.list(api_.kind("", "pods"), "");
    if (!pods) {
      // Not an administrator: their own pods.
      pods = api_.list(api_.kind("", "pods"), api_.ns());
      if (!pods) return std::unexpected(pods.error());
    }
    for (const Json& node : nodes) print_node(node, *pods);
    BERTH_CHECK(print_queues());
    print_waiting(*pods);
    return {};
  }

 private:
  void print_node(const Json& node, const std::vector<Json>& pods) {
    const std::string name(objects::name_of(node));
    Amounts used;
    int64_t count = 0;
    for (const Json& pod : pods) {
      if (objects::find_string(pod, {"spec", "nodeName"}) != name || has_ended(pod)) continue;
      add_amounts(used, pod_requests(pod));
      ++count;
    }
    const bool ready = is_ready(node);
    fmt::print("{} {}   {} pods   {}\n", paint(name, Colour::kBold, colour_),
               paint(ready ? "Ready" : "NotReady", ready ? Colour::kGreen : Colour::kRed, colour_),
               count,
               promised(used, read_amounts(objects::find_object(node, {"status", "allocatable"}))));
    print_devices(node, pods);
  }

  static bool is_ready(const Json& node) {
    for (const Json& condition : objects::find_array(node, {"status", "conditions"})) {
      if (objects::find_string(condition, {"type"}) == "Ready") {
        return objects::find_string(condition, {"status"}) == "True";
      }
    }
    return false;
  }

  static std::string promised(const Amounts& used, const Amounts& whole) {
    std::string text;
    for (const auto& [resource, amount] : whole) {
      const bool shown =
          resource == "cpu" || resource == "memory" || resource.find('/') != std::string::npos;
      if (!shown || amount.milli() == 0) continue;
      const auto at = used.find(resource);
      text += fmt::format("{}{} {}/{}", text.empty() ? "" : "   ", resource,
                          at == used.end() ? "0" : short_amount(resource, at->second),
                          short_amount(resource, amount));
    }
    return text;
  }

  void print_devices(const Json& node, const std::vector<Json>& pods) {
    const Json devices = parse_annotation(node, "berth.dev/devices");
    if (!devices.is_array() || devices.get_array().empty()) return;
    std::map<std::string, std::string> owners;
    for (const Json& pod : pods) {
      if (objects::find_string(pod, {"spec", "nodeName"}) != objects::name_of(node) ||
          has_ended(pod)) {
        continue;
      }
      const Json assigned = parse_annotation(pod, "berth.dev/devices");
      for (const auto& [resource, list] : objects::find_object(assigned, {})) {
        if (!list.is_array()) continue;
        for (const Json& device : list.get_array()) {
          std::string& owner = owners[std::string(objects::find_string(device, {"id"}))];
          const int64_t milli = objects::find_int(device, {"milli"}, 1000);
          owner += (owner.empty() ? "" : ", ") + full_name(pod);
          if (milli < 1000) owner += fmt::format(" ({}%)", milli / 10);
        }
      }
    }
    TextTable table({"  DEVICE", "MODEL", "MEMORY", "HELD BY"});
    for (const Json& device : devices.get_array()) {
      const std::string id(objects::find_string(device, {"id"}));
      const std::string_view busy = objects::find_string(device, {"busy"});
      std::string owner = owners[id];
      if (owner.empty() && !busy.empty()) owner = fmt::format("not Berth's: {}", busy);
      if (owner.empty())
        owner = objects::find_bool(device, {"healthy"}, true) ? "free" : "unhealthy";
      table.add(
          {"  " + id, std::string(objects::find_string(device, {"model"})),
           short_amount("memory", Quantity::from_bytes(objects::find_int(device, {"memoryBytes"}))),
           owner});
    }
    fmt::print("{}", table.to_string());
  }

  Result<> print_queues() {
    BERTH_TRY(const std::vector<Json> queues, api_.list(api_.kind("berth.dev", "queues"), ""));
    if (!queues.empty()) fmt::print("\n{}", queue_tree(queues));
    return {};
  }

  void print_waiting(const std::vector<Json>& pods) {
    struct Waiter {
      const Json* pod;
      Json answer;
      int64_t position;
    };
    std::vector<const Json*> pending;
    for (const Json& pod : pods) {
      if (objects::find_string(pod, {"spec", "nodeName"}).empty() && !has_ended(pod)) {
        pending.push_back(&pod);
      }
    }
    if (pending.empty()) {
      fmt::print("\nNothing waits.\n");
      return;
    }
    std::vector<Waiter> waiters;
    for (const Json* pod : pending) {
      if (waiters.size() == 4 * kWaitersShown) break;
      Result<Json> answer = api_.get(fmt::format("/berth/v1/explain/namespaces/{}/pods/{}",
                                                 escape(objects::namespace_of(*pod)),
                                                 escape(objects::name_of(*pod))));
      Waiter waiter{pod, answer ? *std::move(answer) : Json(nullptr), 0};
      waiter.position = objects::find_int(waiter.answer, {"position"}, INT32_MAX);
      waiters.push_back(std::move(waiter));
    }
    std::stable_sort(waiters.begin(), waiters.end(),
                     [](const Waiter& a, const Waiter& b) { return a.position < b.position; });
    fmt::print("\n{} waiting, next first:\n", pending.size());
    TextTable table({"  POD", "QUEUE", "AGE", "WHY"});
    for (size_t i = 0; i < std::min(waiters.size(), kWaitersShown); ++i) {
      const Json& pod = *waiters[i].pod;
      table.add({"  " + full_name(pod),
                 std::string(objects::find_string(waiters[i].answer, {"queue"}, "-")),
                 age_of(objects::find_string(pod, {"metadata", "creationTimestamp"}), now_),
                 explain_line(waiters[i].answer)});
    }
    fmt::print("{}", table.to_string());
    if (pending.size() > kWaitersShown) {
      fmt::print("  ... and {} more: berth get pods -A --field-selector status.phase=Pending\n",
                 pending.size() - kWaitersShown);
    }
  }

  const Api& api_;
  const Time now_;
  const bool colour_;
};

Result<> run(const Globals& globals) {
  BERTH_TRY(const Api api, Api::open(globals));
  return Overview(api, globals.clock->now()).run();
}

}  // namespace

void add_status(CLI::App& root, const Globals& globals, int& exit_code) {
  auto* command = root.add_subcommand(
      "status", "The machine on one screen: devices and who holds them, queues, who is next");
  command->footer("Example:\n  berth status");
  command->callback([&globals, &exit_code] { exit_code = exit_code_of(run(globals)); });
}

}  // namespace berth::cli
