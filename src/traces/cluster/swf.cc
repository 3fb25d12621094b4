// The Standard Workload Format: 18 numbers a line, -1 for what is not known.

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "base/text.h"
#include "traces/cluster/cluster.h"

namespace berth::traces {
namespace {

constexpr size_t kFields = 18;
constexpr std::array<std::string_view, kFields> kNames = {
    "job number",      "submit time",      "wait time",   "run time",
    "processors used", "CPU time used",    "memory used", "processors requested",
    "time requested",  "memory requested", "status",      "user",
    "group",           "executable",       "queue",       "partition",
    "preceding job",   "think time"};
enum Field : size_t {
  kNumber = 0,
  kSubmit = 1,
  kRun = 3,
  kUsed = 4,
  kAsked = 7,
  kEstimate = 8,
  kMemory = 9,
  kUser = 11,
  kQueue = 14
};

/// Processors of one member: a job that wants more is as few equal members as can hold them.
constexpr int64_t kPerMember[] = {/*kCpu*/ 16, /*kGpu*/ 8};

Result<std::array<double, kFields>> fields_of(std::string_view line, const std::string& where) {
  std::array<double, kFields> fields{};
  size_t at = 0;
  for (size_t i = 0; i < kFields; ++i) {
    at = std::min(line.find_first_not_of(" \t", at), line.size());
    const auto [end, error] =
        std::from_chars(line.data() + at, line.data() + line.size(), fields[i]);
    const bool whole = end == line.data() + line.size() || *end == ' ' || *end == '\t';
    if (at == line.size() || error != std::errc() || !whole || !std::isfinite(fields[i]) ||
        fields[i] < -1)
      return fail(ErrorCode::kInvalid,
                  fmt::format("field {} ({}) is not a number of at least -1", i + 1, kNames[i]),
                  fmt::format("{}:{}", where, at + 1),
                  "give a line of the Standard Workload Format 18 numbers");
    at = static_cast<size_t>(end - line.data());
  }
  return fields;
}

}  // namespace

Result<std::vector<ClusterJob>> read_swf_jobs(std::string_view text, const std::string& file,
                                              SwfProcessor processor) {
  std::vector<ClusterJob> jobs;
  size_t number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (trim(line).empty() || trim(line).starts_with(';')) continue;
    BERTH_TRY(const auto fields, fields_of(line, fmt::format("{}:{}", file, number)));
    ClusterJob job;
    job.where = fmt::format("{}:{}:1", file, number);
    job.name = fmt::format("{:.0f}", fields[kNumber]);
    job.submit_s = std::max(0.0, fields[kSubmit]);
    job.runtime_s = fields[kRun];
    const auto processors = static_cast<int64_t>(std::max(fields[kUsed], fields[kAsked]));
    if (job.runtime_s <= 0 || processors <= 0) continue;  // it never ran
    if (fields[kEstimate] > 0) job.estimate_s = fields[kEstimate];
    if (fields[kUser] >= 0) job.owner = fmt::format("user-{:.0f}", fields[kUser]);
    if (fields[kQueue] >= 0) job.queue = fmt::format("queue-{:.0f}", fields[kQueue]);
    const bool gpu = processor == SwfProcessor::kGpu;
    const int64_t per = kPerMember[gpu ? 1 : 0];
    const int64_t members = (processors + per - 1) / per;
    const int64_t each = (processors + members - 1) / members;
    job.members = static_cast<uint32_t>(members);
    job.devices = gpu ? static_cast<int>(each) : 0;
    job.cpu_milli = each * 1000;
    if (fields[kMemory] > 0) job.memory_mib = static_cast<int64_t>(fields[kMemory] / 1024) * each;
    jobs.push_back(std::move(job));
  }
  return jobs;
}

}  // namespace berth::traces
