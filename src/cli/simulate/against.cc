#include "cli/simulate/against.h"

#include <vector>

#include <fmt/format.h>

#include "cli/simulate/commands.h"
#include "control/journal_file.h"
#include "simulation/cluster/recorded.h"

namespace berth::cli {
namespace {

std::string note_of(const simulation::Recorded& recorded) {
  std::string note = fmt::format("The journal covers {} of {} jobs", format_age(recorded.length),
                                 recorded.workload.jobs.size());
  const auto add = [&](size_t jobs, std::string_view what) {
    if (jobs > 0) note += fmt::format("; {} {}", jobs, what);
  };
  add(recorded.endless, "still ran at its end and are taken to go on for ever");
  add(recorded.guessed,
      "never started and are taken to run as long as expected, or as their owner's others did");
  add(recorded.unknown, "never started, for an unknown time, and are taken to go on for ever");
  add(recorded.cancelled, "were removed before they started and are left out");
  return note + ". A wait that had not ended counts until the end.";
}

}  // namespace

Result<SimulatedWork> work_of_journal(const std::string& path) {
  BERTH_TRY(const auto segments, control::journal_segments(path));
  std::vector<simulation::JournalText> texts;
  for (const auto& segment : segments) {
    BERTH_TRY(std::string text, read_text_file(segment.string()));
    texts.push_back({segment.string(), std::move(text)});
  }
  BERTH_TRY(simulation::Recorded recorded, simulation::read_recorded(texts));
  SimulatedWork work;
  work.note = note_of(recorded);
  work.policy = recorded.policy;
  work.horizon = recorded.length;
  work.past = ClusterOutcome{"recorded: " + recorded.policy.profile, {}};
  work.past->by_seed.emplace_back(0, std::move(recorded.result));
  work.workload = std::move(recorded.workload);
  return work;
}

}  // namespace berth::cli
