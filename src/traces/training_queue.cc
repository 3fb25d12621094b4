#include "traces/training_queue.h"

#include <set>

#include <fmt/format.h>

#include "traces/csv.h"

namespace berth::traces {

Result<std::vector<TrainingJob>> read_training_jobs(std::string_view text,
                                                    const std::string& file) {
  BERTH_TRY(const CsvTable table, CsvTable::parse(text, file));
  BERTH_TRY(const size_t name, table.column("job"));
  BERTH_TRY(const size_t arrival, table.column("arrival_s"));
  BERTH_TRY(const size_t devices, table.column("gpus"));
  BERTH_TRY(const size_t runtime, table.column("runtime_s"));
  size_t model = 0;
  const bool has_model = table.has("model");
  if (has_model) {
    BERTH_TRY(model, table.column("model"));
  }
  std::vector<TrainingJob> jobs;
  std::set<std::string_view> names;
  for (size_t row = 0; row < table.rows(); ++row) {
    TrainingJob job;
    job.name = table.cell(row, name);
    if (job.name.empty() || !names.insert(table.cell(row, name)).second) {
      return fail(ErrorCode::kInvalid,
                  job.name.empty() ? "the job has no name"
                                   : fmt::format("job `{}` is there twice", job.name),
                  table.where(row, name), "give each job a name of its own");
    }
    BERTH_TRY(job.arrival_s, table.number(row, arrival, 0));
    BERTH_TRY(const int64_t gpus, table.integer(row, devices, 1));
    BERTH_TRY(job.runtime_s, table.number(row, runtime, 0));
    if (job.runtime_s <= 0) {
      return fail(ErrorCode::kInvalid, "runtime_s is 0", table.where(row, runtime),
                  "write how long the job runs, in seconds");
    }
    if (gpus > 1'000'000) {
      return fail(ErrorCode::kInvalid, fmt::format("gpus is {}", gpus), table.where(row, devices),
                  "write at most 1000000");
    }
    job.devices = static_cast<int>(gpus);
    if (has_model) job.model = table.cell(row, model);
    jobs.push_back(std::move(job));
  }
  return jobs;
}

}  // namespace berth::traces
