#include "simulation/cluster/recorded.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

#include "control/event_json.h"
#include "control/journal_reader.h"
#include "core/model/state.h"
#include "traces/cluster/cluster.h"

namespace berth::simulation {
namespace {

class NoClock final : public Clock {
 public:
  Time now() const override { return {}; }
};

class Segments final : public control::JournalSink {
 public:
  void begin_segment() override { texts.push_back({"journal", ""}); }
  void append(std::string_view line) override { texts.back().text += std::string(line) + "\n"; }
  std::vector<JournalText> texts;
};

std::string file(const std::string& name) {
  std::ifstream in(std::string(BERTH_SOURCE_DIR) + "/tests/data/cluster-small/" + name);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

struct Past {
  Workload workload;
  ClusterResult result;
  std::vector<JournalText> journal;
};

/// A run of the small cluster with the journal that its control wrote.
Past lived(const std::string& profile, std::optional<Duration> horizon = {}) {
  Past past;
  const auto nodes = traces::read_cluster_nodes(file("nodes.csv"), "n");
  const auto jobs = traces::read_cluster_jobs(file("jobs.csv"), "j", traces::SwfProcessor::kCpu);
  const auto queues = traces::read_cluster_queues(file("queues.csv"), "q");
  past.workload = *make_workload(*nodes, *jobs, *queues);
  past.workload.origin = Time{Duration::hours(480'000).ns};
  Segments journal;
  ClusterRun run{&past.workload};
  run.policy.profile = profile;
  run.horizon = horizon;
  run.journal = &journal;
  past.result = *run_cluster(run, NoClock());
  past.journal = journal.texts;
  return past;
}

ClusterResult again(const Recorded& recorded, const std::string& profile) {
  ClusterRun run{&recorded.workload};
  run.policy = recorded.policy;
  run.policy.profile = profile;
  run.horizon = recorded.length;
  return *run_cluster(run, NoClock());
}

TEST(RecordedJournal, TellsWhatHappened) {
  const Past past = lived("pack");
  const auto recorded = read_recorded(past.journal);
  ASSERT_TRUE(recorded) << recorded.error().to_string();
  EXPECT_EQ(recorded->policy.profile, "pack");
  EXPECT_EQ(recorded->endless + recorded->guessed + recorded->unknown + recorded->cancelled, 0u);
  ASSERT_EQ(recorded->workload.jobs.size(), past.workload.jobs.size());
  ASSERT_GT(past.result.preemptions, 0u);
  EXPECT_EQ(recorded->result.preemptions, past.result.preemptions);
  EXPECT_NEAR(recorded->result.mean_wait_s, past.result.mean_wait_s, 1e-6);
  EXPECT_NEAR(recorded->result.mean_jct_s, past.result.mean_jct_s, 1e-6);
  EXPECT_NEAR(recorded->result.lost_gpu_hours, past.result.lost_gpu_hours, 1e-6);
  EXPECT_NEAR(recorded->result.makespan_s, past.result.makespan_s, 1e-6);
  EXPECT_NEAR(recorded->result.allocated_percent, past.result.allocated_percent, 0.5);
  EXPECT_FALSE(recorded->result.frames.empty());
}

TEST(RecordedJournal, GoesAsItWentUnderItsOwnPolicy) {
  const Past past = lived("pack");
  const auto recorded = read_recorded(past.journal);
  ASSERT_TRUE(recorded);
  const ClusterResult same = again(*recorded, "pack");
  for (size_t i = 0; i < recorded->workload.jobs.size(); ++i) {
    EXPECT_EQ(same.jobs[i].first_start, recorded->result.jobs[i].first_start)
        << recorded->workload.jobs[i].name;
    EXPECT_EQ(same.jobs[i].end, recorded->result.jobs[i].end) << recorded->workload.jobs[i].name;
  }
  EXPECT_EQ(same.preemptions, recorded->result.preemptions);
}

TEST(RecordedJournal, GoesOtherwiseUnderAnother) {
  const auto recorded = read_recorded(lived("pack").journal);
  ASSERT_TRUE(recorded);
  const ClusterResult other = again(*recorded, "spread");
  bool differs = false;
  for (size_t i = 0; i < other.jobs.size(); ++i)
    differs |= other.jobs[i].first_start != recorded->result.jobs[i].first_start;
  EXPECT_TRUE(differs);
}

TEST(RecordedJournal, SaysWhatItHadToAssume) {
  const Past past = lived("pack", Duration::minutes(90));
  size_t running = 0;
  size_t waiting = 0;
  for (size_t i = 0; i < past.workload.jobs.size(); ++i) {
    const JobOutcome& job = past.result.jobs[i];
    const bool came = past.workload.jobs[i].submit <= Duration::minutes(90);
    running += job.end.ns < 0 && job.starts > 0;
    waiting += came && job.starts == 0;
  }
  ASSERT_GT(running, 0u);
  const auto recorded = read_recorded(past.journal);
  ASSERT_TRUE(recorded) << recorded.error().to_string();
  EXPECT_EQ(recorded->endless, running);
  EXPECT_EQ(recorded->guessed + recorded->unknown, waiting);
  EXPECT_EQ(recorded->result.unfinished, running + waiting);
}

/// The journal as a segment that began after `plans` decisions would have it.
JournalText from_the_middle(const std::string& journal, int plans) {
  core::State state;
  int last_line = 0;
  control::JournalHandlers handlers;
  const auto take = [&](const core::Event& event) { state.apply(event); };
  handlers.segment = [](const control::SegmentHeader&) {};
  handlers.snapshot = take;
  handlers.events = [&](const std::vector<core::Event>& events) {
    for (const core::Event& event : events) take(event);
  };
  handlers.plan = [&](const core::Plan& plan, const boost::json::value&, int line) -> Result<bool> {
    state.commit(plan.id, plan.actions);
    last_line = line;
    return --plans > 0;
  };
  std::istringstream all(journal);
  EXPECT_TRUE(control::read_journal(all, handlers));
  JournalText middle{"middle", "{\"segment\":{\"seed\":1}}\n"};
  for (const core::Event& event : state.snapshot())
    middle.text += "{\"snapshot\":" + boost::json::serialize(control::to_json(event)) + "}\n";
  std::istringstream lines(journal);
  std::string line;
  for (int n = 1; std::getline(lines, line); ++n)
    if (n > last_line) middle.text += line + "\n";
  return middle;
}

// What runs when the journal begins runs on: where, and since when, it did.
TEST(RecordedJournal, GoesOnFromTheMiddle) {
  const Past past = lived("pack");
  const auto whole = read_recorded(past.journal);
  const auto recorded = read_recorded({from_the_middle(past.journal.front().text, 6)});
  ASSERT_TRUE(whole);
  ASSERT_TRUE(recorded) << recorded.error().to_string();
  const ClusterResult same = again(*recorded, "pack");
  const Duration skipped = whole->length - recorded->length;
  size_t running = 0;
  for (size_t i = 0; i < recorded->workload.jobs.size(); ++i) {
    const Work& work = recorded->workload.jobs[i];
    running += work.running;
    const auto known = std::find_if(whole->workload.jobs.begin(), whole->workload.jobs.end(),
                                    [&](const Work& other) { return other.name == work.name; });
    ASSERT_NE(known, whole->workload.jobs.end());
    const auto at = static_cast<size_t>(known - whole->workload.jobs.begin());
    EXPECT_EQ(recorded->result.jobs[i].end + skipped, whole->result.jobs[at].end) << work.name;
    EXPECT_EQ(same.jobs[i].end, recorded->result.jobs[i].end) << work.name;
  }
  EXPECT_GT(running, 0u);
}

TEST(RecordedJournal, RefusesWhatIsNone) {
  const auto none = read_recorded({{"some.txt", "hello\n\n"}});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().where, "some.txt: line 1");
  const auto empty = read_recorded({{"j", "{\"segment\":{\"seed\":1}}\n"}});
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().what, "no time passes in this journal");
}

}  // namespace
}  // namespace berth::simulation
