// Which format a job trace has, by its first line that says something.

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "traces/cluster/cluster.h"

namespace berth::traces {
namespace {

std::string_view first_line(std::string_view text) {
  for (std::string_view line : split(text, '\n'))
    if (line = trim(line); !line.empty() && !line.starts_with(';')) return line;
  return {};
}

Result<std::vector<ClusterJob>> read(std::string_view text, const std::string& file,
                                     SwfProcessor processor) {
  const std::string_view line = first_line(text);
  const std::vector<std::string_view> columns = split(line, ',');
  const auto has = [&](std::string_view column) {
    return std::find(columns.begin(), columns.end(), column) != columns.end();
  };
  if (line.starts_with('[')) return read_philly_jobs(text, file);
  if (trim(text).starts_with(';') || (columns.size() == 1 && !line.empty() &&
                                      line.find_first_not_of("0123456789.- \t") == line.npos))
    return read_swf_jobs(text, file, processor);
  if (has("creation_time")) return read_openb_jobs(text, file);
  if (has("gpu_num")) return read_helios_jobs(text, file);
  return read_job_table(text, file);
}

}  // namespace

Result<std::vector<ClusterJob>> read_cluster_jobs(std::string_view text, const std::string& file,
                                                  SwfProcessor processor) {
  BERTH_TRY(std::vector<ClusterJob> jobs, read(text, file, processor));
  std::set<std::string_view> names;
  double first = jobs.empty() ? 0 : jobs.front().submit_s;
  for (const ClusterJob& job : jobs) {
    first = std::min(first, job.submit_s);
    if (job.name.empty() || !names.insert(job.name).second)
      return fail(ErrorCode::kInvalid,
                  job.name.empty() ? std::string("the job has no name")
                                   : fmt::format("job `{}` is there twice", job.name),
                  job.where, "give each job a name of its own");
    if (job.runtime_s <= 0)
      return fail(ErrorCode::kInvalid,
                  fmt::format("job `{}` runs for {} s", job.name, job.runtime_s), job.where,
                  "write how long it runs, in seconds, more than 0");
  }
  for (ClusterJob& job : jobs) job.submit_s -= first;
  std::stable_sort(jobs.begin(), jobs.end(), [](const ClusterJob& a, const ClusterJob& b) {
    return a.submit_s < b.submit_s;
  });
  return jobs;
}

}  // namespace berth::traces
