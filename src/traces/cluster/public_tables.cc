// Job tables that others published: openb's pods, Helios' jobs.

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "traces/cluster/cluster.h"
#include "traces/csv.h"
#include "traces/openb.h"

namespace berth::traces {

Result<double> read_timestamp(std::string_view text, const std::string& where) {
  int part[6] = {};
  constexpr std::string_view kForm = "0000-00-00 00:00:00";
  bool good = text.size() >= kForm.size();
  const size_t at[] = {0, 5, 8, 11, 14, 17};
  for (size_t i = 0; good && i < 6; ++i) {
    const char* from = text.data() + at[i];
    const auto [end, error] = std::from_chars(from, from + (i == 0 ? 4 : 2), part[i]);
    good = error == std::errc() && end == from + (i == 0 ? 4 : 2);
  }
  const std::chrono::year_month_day day{std::chrono::year{part[0]},
                                        std::chrono::month{static_cast<unsigned>(part[1])},
                                        std::chrono::day{static_cast<unsigned>(part[2])}};
  if (!good || !day.ok() || part[3] > 23 || part[4] > 59 || part[5] > 60)
    return fail(ErrorCode::kInvalid, fmt::format("`{}` is no time", text), where,
                "write it as 2017-10-09 07:02:00");
  const auto days = std::chrono::sys_days{day}.time_since_epoch().count();
  return static_cast<double>(days) * 86400 + part[3] * 3600 + part[4] * 60 + part[5];
}

Result<std::vector<ClusterJob>> read_openb_jobs(std::string_view text, const std::string& file) {
  BERTH_TRY(const std::vector<OpenbPod> pods, read_openb_pods(text, file));
  BERTH_TRY(const CsvTable table, CsvTable::parse(text, file));
  BERTH_TRY(const size_t name, table.column("name"));
  BERTH_TRY(const size_t created, table.column("creation_time"));
  BERTH_TRY(const size_t deleted, table.column("deletion_time"));
  BERTH_TRY(const size_t scheduled, table.column("scheduled_time"));
  std::vector<ClusterJob> jobs;
  for (size_t row = 0; row < table.rows(); ++row) {
    const auto is_empty = [&](size_t column) { return table.cell(row, column).empty(); };
    if (is_empty(scheduled) || is_empty(deleted)) continue;  // it never ran, or never ended
    ClusterJob job;
    job.name = table.cell(row, name);
    job.where = table.where(row, name);
    BERTH_TRY(job.submit_s, table.number(row, created, 0));
    BERTH_TRY(const double from, table.number(row, scheduled, 0));
    BERTH_TRY(const double to, table.number(row, deleted, 0));
    job.runtime_s = to - from;
    job.cpu_milli = pods[row].cpu_milli;
    job.memory_mib = pods[row].memory_mib;
    job.devices = pods[row].devices;
    job.device_milli = pods[row].devices == 0 ? 1000 : pods[row].device_milli;
    job.models = pods[row].models;
    if (job.runtime_s > 0) jobs.push_back(std::move(job));
  }
  return jobs;
}

Result<std::vector<ClusterJob>> read_helios_jobs(std::string_view text, const std::string& file) {
  BERTH_TRY(const CsvTable table, CsvTable::parse(text, file));
  BERTH_TRY(const size_t name, table.column("job_id"));
  BERTH_TRY(const size_t gpus, table.column("gpu_num"));
  BERTH_TRY(const size_t cpus, table.column("cpu_num"));
  BERTH_TRY(const size_t nodes, table.column("node_num"));
  BERTH_TRY(const size_t submitted, table.column("submit_time"));
  BERTH_TRY(const size_t duration, table.column("duration"));
  const auto text_of = [&](size_t row, std::string_view column) {
    const auto at = table.column(column);
    return at ? std::string(table.cell(row, *at)) : std::string();
  };
  std::vector<ClusterJob> jobs;
  for (size_t row = 0; row < table.rows(); ++row) {
    ClusterJob job;
    job.name = table.cell(row, name);
    job.where = table.where(row, name);
    job.owner = text_of(row, "user");
    job.queue = text_of(row, "vc");
    BERTH_TRY(job.submit_s,
              read_timestamp(table.cell(row, submitted), table.where(row, submitted)));
    BERTH_TRY(job.runtime_s, table.number(row, duration, 0));
    BERTH_TRY(const int64_t devices, table.integer(row, gpus, 0));
    BERTH_TRY(const int64_t cores, table.integer(row, cpus, 0));
    BERTH_TRY(const int64_t members, table.integer(row, nodes, 0));
    if (members == 0 || job.runtime_s <= 0) continue;  // it never ran
    // The table has totals. What does not divide counts as one more on each.
    const int64_t per_node = (devices + members - 1) / members;
    if (per_node > 64 || members > 100'000)
      return fail(ErrorCode::kInvalid, fmt::format("gpu_num is {} on {} nodes", devices, members),
                  table.where(row, gpus), "one node has at most 64 devices");
    job.members = static_cast<uint32_t>(members);
    job.devices = static_cast<int>(per_node);
    job.cpu_milli = (cores * 1000 + members - 1) / members;
    jobs.push_back(std::move(job));
  }
  return jobs;
}

}  // namespace berth::traces
