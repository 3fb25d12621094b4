// Berth's own tables: nodes, queues, jobs.

#include <map>
#include <set>

#include <fmt/format.h>

#include "traces/cluster/cluster.h"
#include "traces/csv.h"

namespace berth::traces {
namespace {

constexpr int64_t kMaxDevices = 64;
constexpr int64_t kMaxMembers = 100'000;

/// Columns that may be missing.
class Optional {
 public:
  explicit Optional(const CsvTable& table) : table_(table) {}

  Result<int64_t> integer(size_t row, std::string_view column, int64_t otherwise,
                          int64_t minimum) const {
    if (empty(row, column)) return otherwise;
    BERTH_TRY(const size_t at, table_.column(column));
    return table_.integer(row, at, minimum);
  }
  Result<double> number(size_t row, std::string_view column, double otherwise,
                        double minimum) const {
    if (empty(row, column)) return otherwise;
    BERTH_TRY(const size_t at, table_.column(column));
    return table_.number(row, at, minimum);
  }
  std::string text(size_t row, std::string_view column) const {
    if (!table_.has(column)) return {};
    const auto at = table_.column(column);
    return std::string(table_.cell(row, *at));
  }
  std::string where(size_t row, std::string_view column) const {
    const auto at = table_.column(column);
    return table_.where(row, at ? *at : 0);
  }

 private:
  bool empty(size_t row, std::string_view column) const {
    return !table_.has(column) || text(row, column).empty();
  }
  const CsvTable& table_;
};

Result<int> device_count(const Optional& cells, size_t row, std::string_view column) {
  BERTH_TRY(const int64_t count, cells.integer(row, column, 0, 0));
  if (count > kMaxDevices)
    return fail(
        ErrorCode::kInvalid, fmt::format("{} is {}", column, count), cells.where(row, column),
        fmt::format("one node has at most {} devices; give a job more members", kMaxDevices));
  return static_cast<int>(count);
}

/// Follows parents upwards: a queue that comes by itself is in a cycle.
Result<> check_parents(const std::vector<ClusterQueue>& queues) {
  std::map<std::string_view, const ClusterQueue*> by_name;
  for (const ClusterQueue& queue : queues) by_name.emplace(queue.name, &queue);
  for (const ClusterQueue& queue : queues) {
    if (!queue.parent.empty() && !by_name.contains(queue.parent))
      return fail(ErrorCode::kInvalid, fmt::format("there is no queue `{}`", queue.parent),
                  queue.where, "add a row for it, or leave the parent empty");
    size_t steps = 0;
    for (std::string_view at = queue.parent; !at.empty(); at = by_name.at(at)->parent)
      if (at == queue.name || ++steps > queues.size())
        return fail(ErrorCode::kInvalid,
                    fmt::format("queue `{}` is below itself: the parents make a cycle", queue.name),
                    queue.where, "give one queue of the cycle no parent");
  }
  return {};
}

}  // namespace

Result<std::vector<ClusterNode>> read_cluster_nodes(std::string_view text,
                                                    const std::string& file) {
  BERTH_TRY(const CsvTable table, CsvTable::parse(text, file));
  BERTH_TRY(const size_t cpu, table.column("cpu_milli"));
  BERTH_TRY(const size_t memory, table.column("memory_mib"));
  BERTH_TRY(const size_t gpu, table.column("gpu"));
  const Optional cells(table);
  const std::string_view name_column = table.has("name") ? "name" : "sn";
  std::set<std::string> names;
  std::vector<ClusterNode> nodes;
  for (size_t row = 0; row < table.rows(); ++row) {
    ClusterNode node;
    node.name = cells.text(row, name_column);
    if (node.name.empty()) node.name = fmt::format("node-{}", row);
    node.where = table.where(row, 0);
    if (!names.insert(node.name).second)
      return fail(ErrorCode::kInvalid, fmt::format("node `{}` is there twice", node.name),
                  node.where, "give each node a name of its own");
    BERTH_TRY(node.cpu_milli, table.integer(row, cpu, 0));
    BERTH_TRY(node.memory_mib, table.integer(row, memory, 0));
    BERTH_TRY(const int64_t devices, table.integer(row, gpu, 0));
    if (devices > kMaxDevices)
      return fail(ErrorCode::kInvalid, fmt::format("gpu is {}", devices), table.where(row, gpu),
                  fmt::format("a node has at most {} devices", kMaxDevices));
    node.devices = static_cast<int>(devices);
    node.model = cells.text(row, "model");
    node.rack = cells.text(row, "rack");
    nodes.push_back(std::move(node));
  }
  return nodes;
}

Result<std::vector<ClusterQueue>> read_cluster_queues(std::string_view text,
                                                      const std::string& file) {
  BERTH_TRY(const CsvTable table, CsvTable::parse(text, file));
  BERTH_TRY(const size_t name, table.column("queue"));
  const Optional cells(table);
  std::set<std::string> names;
  std::vector<ClusterQueue> queues;
  for (size_t row = 0; row < table.rows(); ++row) {
    ClusterQueue queue;
    queue.name = table.cell(row, name);
    queue.where = table.where(row, name);
    if (queue.name.empty() || !names.insert(queue.name).second)
      return fail(ErrorCode::kInvalid,
                  queue.name.empty() ? std::string("the queue has no name")
                                     : fmt::format("queue `{}` is there twice", queue.name),
                  queue.where, "give each queue a name of its own");
    queue.parent = cells.text(row, "parent");
    BERTH_TRY(queue.weight, cells.number(row, "weight", 1, 0.001));
    BERTH_TRY(queue.guaranteed_gpus, cells.number(row, "guaranteed_gpus", -1, 0));
    BERTH_TRY(queue.limit_gpus, cells.number(row, "limit_gpus", -1, 0));
    queues.push_back(std::move(queue));
  }
  BERTH_CHECK(check_parents(queues));
  return queues;
}

Result<std::vector<ClusterJob>> read_job_table(std::string_view text, const std::string& file) {
  BERTH_TRY(const CsvTable table, CsvTable::parse(text, file));
  BERTH_TRY(const size_t name, table.column("job"));
  BERTH_TRY(const size_t submit, table.column("submit_s"));
  BERTH_TRY(const size_t runtime, table.column("runtime_s"));
  BERTH_TRY([[maybe_unused]] const size_t gpus, table.column("gpus"));
  const Optional cells(table);
  std::vector<ClusterJob> jobs;
  for (size_t row = 0; row < table.rows(); ++row) {
    ClusterJob job;
    job.name = table.cell(row, name);
    job.where = table.where(row, name);
    BERTH_TRY(job.submit_s, table.number(row, submit, 0));
    BERTH_TRY(job.runtime_s, table.number(row, runtime, 0));
    BERTH_TRY(job.devices, device_count(cells, row, "gpus"));
    BERTH_TRY(job.cpu_milli, cells.integer(row, "cpu_milli", 0, 0));
    BERTH_TRY(job.memory_mib, cells.integer(row, "memory_mib", 0, 0));
    BERTH_TRY(const int64_t milli, cells.integer(row, "gpu_milli", 1000, 1));
    if (milli > 1000 || (milli < 1000 && job.devices != 1))
      return fail(ErrorCode::kInvalid, fmt::format("gpu_milli is {}", milli),
                  cells.where(row, "gpu_milli"),
                  "write 1 to 1000, and less than 1000 only with one GPU");
    job.device_milli = static_cast<int>(milli);
    job.models = cells.text(row, "gpu_spec");
    BERTH_TRY(const int64_t members, cells.integer(row, "members", 1, 1));
    if (members > kMaxMembers)
      return fail(ErrorCode::kInvalid, fmt::format("members is {}", members),
                  cells.where(row, "members"), fmt::format("write at most {}", kMaxMembers));
    job.members = static_cast<uint32_t>(members);
    job.queue = cells.text(row, "queue");
    job.owner = cells.text(row, "owner");
    BERTH_TRY(job.estimate_s, cells.number(row, "estimate_s", 0, 0));
    BERTH_TRY(job.checkpoint_s, cells.number(row, "checkpoint_s", 0, 0));
    BERTH_TRY(const int64_t priority, cells.integer(row, "priority", 0, -1'000'000'000));
    job.priority = static_cast<int32_t>(std::min<int64_t>(priority, 1'000'000'000));
    const std::string preemptible = cells.text(row, "preemptible");
    if (!preemptible.empty() && preemptible != "true" && preemptible != "false")
      return fail(ErrorCode::kInvalid, fmt::format("preemptible is `{}`", preemptible),
                  cells.where(row, "preemptible"), "write true or false");
    job.preemptible = preemptible != "false";
    jobs.push_back(std::move(job));
  }
  return jobs;
}

}  // namespace berth::traces
