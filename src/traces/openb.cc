#include "traces/openb.h"

#include <charconv>

#include <fmt/format.h>

#include "base/text.h"
#include "traces/csv.h"

namespace berth::traces {
namespace {

constexpr int64_t kMaxDevices = 64;

Result<std::vector<uint32_t>> read_rows(std::string_view line, std::string_view word, size_t rows,
                                        const std::string& where) {
  std::vector<uint32_t> out;
  size_t at = word.size();
  if (!line.starts_with(word) || (line.size() > at && line[at] != ' ')) {
    return fail(ErrorCode::kInvalid, fmt::format("the line does not start with `{}`", word),
                where + ":1", "see docs/policies.md for the form of an arrivals file");
  }
  while (at < line.size()) {
    if (line[at] == ' ') {
      ++at;
      continue;
    }
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(line.data() + at, line.data() + line.size(), value);
    const bool whole = end == line.data() + line.size() || *end == ' ';
    if (error != std::errc() || !whole || value >= rows) {
      return fail(ErrorCode::kInvalid, fmt::format("not a row of the table of {} {}", rows, word),
                  fmt::format("{}:{}", where, at + 1),
                  fmt::format("give row numbers from 0 to {}", rows - 1));
    }
    out.push_back(value);
    at = static_cast<size_t>(end - line.data());
  }
  return out;
}

}  // namespace

Result<std::vector<OpenbNode>> read_openb_nodes(std::string_view text, const std::string& file) {
  BERTH_TRY(const CsvTable table, CsvTable::parse(text, file));
  BERTH_TRY(const size_t cpu, table.column("cpu_milli"));
  BERTH_TRY(const size_t memory, table.column("memory_mib"));
  BERTH_TRY(const size_t gpu, table.column("gpu"));
  BERTH_TRY(const size_t model, table.column("model"));
  std::vector<OpenbNode> nodes;
  for (size_t row = 0; row < table.rows(); ++row) {
    OpenbNode node;
    BERTH_TRY(node.cpu_milli, table.integer(row, cpu, 0));
    BERTH_TRY(node.memory_mib, table.integer(row, memory, 0));
    BERTH_TRY(const int64_t devices, table.integer(row, gpu, 0));
    if (devices > kMaxDevices) {
      return fail(ErrorCode::kInvalid, fmt::format("gpu is {}", devices), table.where(row, gpu),
                  fmt::format("a node has at most {} devices", kMaxDevices));
    }
    node.devices = static_cast<int>(devices);
    node.model = table.cell(row, model);
    nodes.push_back(std::move(node));
  }
  return nodes;
}

Result<std::vector<OpenbPod>> read_openb_pods(std::string_view text, const std::string& file) {
  BERTH_TRY(const CsvTable table, CsvTable::parse(text, file));
  BERTH_TRY(const size_t cpu, table.column("cpu_milli"));
  BERTH_TRY(const size_t memory, table.column("memory_mib"));
  BERTH_TRY(const size_t gpu, table.column("num_gpu"));
  BERTH_TRY(const size_t milli, table.column("gpu_milli"));
  size_t spec = 0;
  const bool has_spec = table.has("gpu_spec");
  if (has_spec) {
    BERTH_TRY(spec, table.column("gpu_spec"));
  }
  std::vector<OpenbPod> pods;
  for (size_t row = 0; row < table.rows(); ++row) {
    OpenbPod pod;
    BERTH_TRY(pod.cpu_milli, table.integer(row, cpu, 0));
    BERTH_TRY(pod.memory_mib, table.integer(row, memory, 0));
    BERTH_TRY(const int64_t devices, table.integer(row, gpu, 0));
    BERTH_TRY(const int64_t share, table.integer(row, milli, 0));
    if (devices > kMaxDevices) {
      return fail(ErrorCode::kInvalid, fmt::format("num_gpu is {}", devices), table.where(row, gpu),
                  fmt::format("a pod takes at most {} devices, of one node", kMaxDevices));
    }
    if (devices == 1 && (share < 1 || share > 1000)) {
      return fail(ErrorCode::kInvalid, fmt::format("gpu_milli is {}", share),
                  table.where(row, milli), "write 1 to 1000, the thousandths of one GPU");
    }
    pod.devices = static_cast<int>(devices);
    pod.device_milli = devices == 1 ? static_cast<int>(share) : devices > 1 ? 1000 : 0;
    if (has_spec) pod.models = table.cell(row, spec);
    pods.push_back(std::move(pod));
  }
  return pods;
}

Result<OpenbArrivals> read_openb_arrivals(std::string_view text, const std::string& file,
                                          size_t node_rows, size_t pod_rows) {
  const std::vector<std::string_view> lines = split(text, '\n');
  if (lines.size() < 2) {
    return fail(ErrorCode::kInvalid, "an arrivals file has two lines", file + ":1:1",
                "line 1: `nodes` and node rows; line 2: `pods` and pod rows");
  }
  OpenbArrivals arrivals;
  BERTH_TRY(arrivals.nodes, read_rows(lines[0], "nodes", node_rows, file + ":1"));
  BERTH_TRY(arrivals.pods, read_rows(lines[1], "pods", pod_rows, file + ":2"));
  std::vector<bool> seen(node_rows);
  for (uint32_t n : arrivals.nodes) {
    if (seen[n]) {
      return fail(ErrorCode::kInvalid, fmt::format("node row {} is there twice", n), file + ":1:1",
                  "name each node once");
    }
    seen[n] = true;
  }
  return arrivals;
}

}  // namespace berth::traces
