// Microsoft's Philly job log (cluster_job_log), JSON.

#include <algorithm>

#include <boost/json/stream_parser.hpp>
#include <fmt/format.h>

#include "traces/cluster/cluster.h"

namespace berth::traces {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;

std::string text_of(const object& from, std::string_view key) {
  const value* found = from.if_contains(key);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

/// Line and column of a byte of the file.
std::string position(std::string_view text, size_t offset, const std::string& file) {
  offset = std::min(offset, text.size());
  const auto line = std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(offset), '\n');
  const size_t start = offset == 0 ? std::string_view::npos : text.rfind('\n', offset - 1);
  return fmt::format("{}:{}:{}", file, line + 1,
                     offset - (start == std::string_view::npos ? 0 : start + 1) + 1);
}

}  // namespace

Result<std::vector<ClusterJob>> read_philly_jobs(std::string_view text, const std::string& file) {
  boost::json::stream_parser parser;
  boost::system::error_code error;
  const size_t read = parser.write_some(text.data(), text.size(), error);
  if (!error) parser.finish(error);
  if (error)
    return fail(ErrorCode::kInvalid, "not JSON: " + error.message(), position(text, read, file),
                "give Philly's cluster_job_log as it was published");
  const value document = parser.release();
  if (!document.is_array())
    return fail(ErrorCode::kInvalid, "not a list of jobs", file + ":1:1",
                "give Philly's cluster_job_log as it was published");
  std::vector<ClusterJob> jobs;
  for (const value& entry : document.get_array()) {
    const object* fields = entry.if_object();
    const std::string name = fields == nullptr ? std::string() : text_of(*fields, "jobid");
    // A job's position is where its id stands.
    const std::string where = position(text, name.empty() ? 0 : text.find(name), file);
    const value* attempts = fields == nullptr ? nullptr : fields->if_contains("attempts");
    if (name.empty() || attempts == nullptr || !attempts->is_array())
      return fail(ErrorCode::kInvalid,
                  fmt::format("job {} has no `jobid` or no `attempts`", jobs.size()), where,
                  "give Philly's cluster_job_log as it was published");
    ClusterJob job;
    job.name = name;
    job.where = where;
    job.owner = text_of(*fields, "user");
    job.queue = text_of(*fields, "vc");
    BERTH_TRY(job.submit_s, read_timestamp(text_of(*fields, "submitted_time"), where));
    int64_t devices = 0;
    for (const value& attempt : attempts->get_array()) {
      const object* run = attempt.if_object();
      if (run == nullptr) continue;
      const std::string from = text_of(*run, "start_time");
      const std::string to = text_of(*run, "end_time");
      if (from.empty() || to.empty() || from == "None" || to == "None") continue;
      BERTH_TRY(const double start, read_timestamp(from, where));
      BERTH_TRY(const double end, read_timestamp(to, where));
      job.runtime_s += std::max(0.0, end - start);
      const value* detail = run->if_contains("detail");
      if (devices > 0 || detail == nullptr || !detail->is_array()) continue;
      job.members = static_cast<uint32_t>(std::max<size_t>(1, detail->get_array().size()));
      for (const value& node : detail->get_array())
        if (const object* on = node.if_object())
          if (const value* gpus = on->if_contains("gpus"); gpus != nullptr && gpus->is_array())
            devices += static_cast<int64_t>(gpus->get_array().size());
    }
    if (job.runtime_s <= 0) continue;  // it never ran
    job.devices = static_cast<int>((devices + job.members - 1) / job.members);
    jobs.push_back(std::move(job));
  }
  return jobs;
}

}  // namespace berth::traces
