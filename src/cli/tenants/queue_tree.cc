#include "cli/tenants/queue_tree.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <fmt/format.h>

#include "cli/output/amounts.h"
#include "cli/output/print.h"
#include "objects/schema.h"

namespace berth::cli {
namespace {

std::string amounts_at(const Json& queue, std::string_view part, std::string_view field) {
  return format_amounts(read_amounts(objects::find_object(queue, {part, field})));
}

std::string share_of(const Json& queue, std::string_view field) {
  const std::string share(objects::find_string(queue, {"status", field}));
  char* end = nullptr;
  const double fraction = std::strtod(share.c_str(), &end);
  return end == share.c_str() ? "-" : fmt::format("{:.0f}%", fraction * 100);
}

using Children = std::map<std::string, std::vector<const Json*>>;

void add_rows(const Children& children, const std::string& parent, int depth, TextTable& table) {
  const auto at = children.find(parent);
  // Deeper than any sane tree: the server refuses cycles, but an old one might be stored.
  if (at == children.end() || depth > 32) return;
  for (const Json* queue : at->second) {
    const std::string name(objects::name_of(*queue));
    table.add({fmt::format("{:{}}{}", "", depth * 2, name),
               amounts_at(*queue, "spec", "guaranteed"), amounts_at(*queue, "spec", "limit"),
               std::to_string(objects::find_int(*queue, {"spec", "weight"}, 1)),
               amounts_at(*queue, "status", "allocated"), share_of(*queue, "share"),
               share_of(*queue, "fairShare"),
               std::to_string(objects::find_int(*queue, {"status", "running"})),
               std::to_string(objects::find_int(*queue, {"status", "pending"}))});
    add_rows(children, name, depth + 1, table);
  }
}

}  // namespace

std::string queue_tree(const std::vector<Json>& queues) {
  Children children;
  for (const Json& queue : queues) {
    std::string parent(objects::find_string(queue, {"spec", "parent"}));
    const bool there = std::any_of(queues.begin(), queues.end(), [&](const Json& other) {
      return objects::name_of(other) == parent;
    });
    children[there ? parent : ""].push_back(&queue);
  }
  TextTable table({"QUEUE", "GUARANTEED", "LIMIT", "WEIGHT", "USED", "SHARE", "FAIR SHARE",
                   "RUNNING", "PENDING"});
  add_rows(children, "", 0, table);
  return table.to_string();
}

}  // namespace berth::cli
