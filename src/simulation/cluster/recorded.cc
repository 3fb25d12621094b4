#include "simulation/cluster/recorded.h"

#include <algorithm>
#include <functional>
#include <map>
#include <sstream>
#include <variant>

#include "control/journal_reader.h"
#include "core/model/state.h"
#include "simulation/cluster/camera.h"
#include "simulation/cluster/job_history.h"

namespace berth::simulation {
namespace {

constexpr size_t kFrames = 200;

using Take = std::function<void(const core::Event&)>;
using Decided = std::function<void(const core::Plan&)>;

Result<> read_all(const std::vector<JournalText>& segments, const std::function<void()>& segment,
                  const Take& take, const Decided& decided) {
  for (const JournalText& part : segments) {
    control::JournalHandlers handlers;
    handlers.segment = [&](const control::SegmentHeader&) { segment(); };
    handlers.snapshot = take;
    handlers.events = [&](const std::vector<core::Event>& events) {
      for (const core::Event& event : events) take(event);
    };
    handlers.plan = [&](const core::Plan& plan, const boost::json::value&, int) -> Result<bool> {
      decided(plan);
      return true;
    };
    std::istringstream text(part.text);
    if (const auto read = control::read_journal(text, handlers); !read) {
      Error error = read.error();
      error.where = part.name + (error.where.empty() ? "" : ": " + error.where);
      return std::unexpected(std::move(error));
    }
  }
  return {};
}

/// First time through: which nodes, queues and jobs there are, and what changed from outside.
class FirstPass {
 public:
  explicit FirstPass(Recorded& into) : recorded_(into), workload_(into.workload) {}

  void take(const core::Event& event) {
    std::visit([this](const auto& e) { on(e); }, event);
  }
  void decided(const core::Plan& plan) {
    if (!begun_) workload_.origin = now_;
    begun_ = true;
    ++recorded_.result.cycles;
    jobs_.on(plan, now_);
  }

  Result<> finish() {
    recorded_.length = now_ - workload_.origin;
    if (!begun_ || recorded_.length.ns <= 0)
      return fail(ErrorCode::kInvalid, "no time passes in this journal", "",
                  "name the folder with all segments, or one that holds more than one decision");
    recorded_.result.preemptions = jobs_.preemptions();
    recorded_.result.lost_gpu_hours = jobs_.lost_gpu_hours();
    std::vector<PastWork> jobs = jobs_.take();
    learn(jobs);
    std::stable_sort(jobs.begin(), jobs.end(),
                     [](const PastWork& a, const PastWork& b) { return a.submit < b.submit; });
    for (const PastWork& job : jobs) add(job);
    return {};
  }

 private:
  template <class Event>
  void on(const Event&) {}

  void on(const core::Tick& tick) { now_ = std::max(now_, tick.now); }
  void on(const core::PolicySet& policy) { recorded_.policy = policy; }

  void on(const core::NodeUpsert& node) {
    const auto [known, is_new] = nodes_.try_emplace(node.name, node);
    if (!is_new && known->second == node) return;
    known->second = node;
    auto& all = workload_.nodes;
    const auto at = std::find_if(all.begin(), all.end(),
                                 [&](const core::NodeUpsert& n) { return n.name == node.name; });
    if (at == all.end()) {
      all.push_back(node);
      if (begun_) workload_.late_nodes.insert(node.name);
    } else if (!begun_) {
      *at = node;
    }
    if (begun_) change(node);
  }
  void on(const core::NodeRemove& node) {
    if (nodes_.erase(node.name) == 0) return;
    recorded_.result.failures += begun_;
    change(node);
  }
  void on(const core::QueueUpsert& queue) {
    auto& queues = workload_.queues;
    const auto known = std::find_if(queues.begin(), queues.end(),
                                    [&](const auto& q) { return q.name == queue.name; });
    if (known == queues.end())
      queues.push_back(queue);
    else if (begun_)
      change(queue);
    else
      *known = queue;
  }
  void on(const core::QueueRemove& queue) { change(queue); }
  void on(const core::QueueUsage& usage) { change(usage); }
  void on(const core::OwnerDurations& durations) { change(durations); }
  void on(const core::DisruptionBudgetUpsert& budget) { change(budget); }
  void on(const core::DisruptionBudgetRemove& budget) { change(budget); }

  void on(const core::GangUpsert& gang) { jobs_.on(gang, now_); }
  void on(const core::TaskUpsert& task) {
    if (!task.managed) others_.insert(task.name);
    if (!task.managed) return change(task);
    jobs_.on(task, now_);
  }
  void on(const core::TaskRemove& removed) {
    if (others_.erase(removed.name) > 0) return change(removed);
    jobs_.on(removed, now_);
  }
  void on(const core::BindDone& done) { jobs_.on(done, now_); }

  void change(const core::Event& event) {
    const Duration at = begun_ ? now_ - workload_.origin : Duration{};
    workload_.changes.emplace_back(at, event);
  }

  /// How long owners' jobs took that ended.
  void learn(const std::vector<PastWork>& jobs) {
    for (const PastWork& job : jobs) {
      if (!job.end || job.starts == 0) continue;
      auto& [sum, count] = ran_[job.members.front().owner];
      sum = sum + (job.saved + job.last_run);
      ++count;
    }
  }

  void add(const PastWork& job) {
    if (job.starts == 0 && job.end) {
      ++recorded_.cancelled;
      return;
    }
    Work work;
    work.name = job.name;
    work.members = job.members;
    work.owner = job.members.front().owner;
    work.has_gang = job.gang.has_value();
    if (work.has_gang) work.gang = *job.gang;
    work.running = job.starts > 0 && job.first_start < workload_.origin;
    work.submit = std::max(job.submit, workload_.origin) - workload_.origin;
    work.runtime = runtime_of(job);
    for (core::TaskUpsert& member : work.members) {
      if (work.running) continue;
      member.phase = core::TaskPhase::kPending;
      member.node.clear();
      member.devices.clear();
      member.started = member.last_checkpoint = {};
    }
    JobOutcome outcome;
    outcome.starts = job.starts;
    outcome.lost = job.lost;
    if (job.starts > 0) outcome.first_start = job.first_start - workload_.origin;
    if (job.end) outcome.end = *job.end - workload_.origin;
    workload_.jobs.push_back(std::move(work));
    recorded_.result.jobs.push_back(outcome);
  }

  Duration runtime_of(const PastWork& job) {
    if (job.end) return std::max(Duration::milliseconds(1), job.saved + job.last_run);
    if (job.starts > 0) {
      ++recorded_.endless;
      return kForever;
    }
    const core::TaskUpsert& member = job.members.front();
    const auto known = ran_.find(member.owner);
    ++recorded_.guessed;
    if (member.expected_duration.ns > 0) return member.expected_duration;
    if (known != ran_.end() && !member.owner.empty())
      return known->second.first / known->second.second;
    --recorded_.guessed;
    ++recorded_.unknown;
    return kForever;
  }

  Recorded& recorded_;
  Workload& workload_;
  JobHistory jobs_;
  Time now_;
  bool begun_ = false;
  std::map<std::string, core::NodeUpsert> nodes_;
  std::set<std::string> others_;                             ///< pods that Berth only sees
  std::map<std::string, std::pair<Duration, int64_t>> ran_;  ///< by owner: sum and count
};

/// Second time, with all of that known: frames, and what was allocated.
class SecondPass {
 public:
  explicit SecondPass(Recorded& recorded)
      : recorded_(recorded), camera_(recorded.workload, kFrames) {}

  void segment() { state_ = core::State(); }
  void take(const core::Event& event) {
    if (const auto* tick = std::get_if<core::Tick>(&event)) pass_until(tick->now);
    state_.apply(event);
  }
  void decided(const core::Plan& plan) {
    state_.commit(plan.id, plan.actions);
    used_ = all_ = 0;
    for (const core::NodeUpsert& node : recorded_.workload.nodes) {
      all_ += static_cast<int64_t>(node.devices.size()) * 1000;
      if (const core::NodeId id = state_.find_node(node.name); id.valid())
        used_ += used_milli(state_.node(id));
    }
    now_ = state_.now();
    const double at_s = (now_ - recorded_.workload.origin).to_seconds();
    if (camera_.wants(at_s)) camera_.look(state_, at_s, waits(at_s));
  }
  void finish() {
    ClusterResult& result = recorded_.result;
    result.allocated_percent =
        all_ > 0 ? 100 * used_s_ / (recorded_.length.to_seconds() * static_cast<double>(all_)) : 0;
    result.frames = camera_.take();
    add_up(recorded_.workload, recorded_.length, result);
  }

 private:
  void pass_until(Time next) {
    if (next <= now_ || now_.ns == 0) return;
    used_s_ += static_cast<double>(used_) * (next - now_).to_seconds();
    now_ = next;
  }

  std::vector<double> waits(double at_s) const {
    std::vector<double> waits;
    for (size_t i = 0; i < recorded_.workload.jobs.size(); ++i) {
      const double submit = recorded_.workload.jobs[i].submit.to_seconds();
      const JobOutcome& job = recorded_.result.jobs[i];
      if (submit <= at_s && (job.starts == 0 || job.first_start.to_seconds() > at_s))
        waits.push_back(at_s - submit);
    }
    return waits;
  }

  Recorded& recorded_;
  Camera camera_;
  core::State state_;
  Time now_;
  double used_s_ = 0;
  int64_t used_ = 0;
  int64_t all_ = 0;
};

}  // namespace

Result<Recorded> read_recorded(const std::vector<JournalText>& segments) {
  Recorded recorded;
  FirstPass first(recorded);
  BERTH_CHECK(read_all(
      segments, [] {}, [&](const core::Event& event) { first.take(event); },
      [&](const core::Plan& plan) { first.decided(plan); }));
  BERTH_CHECK(first.finish());
  SecondPass second(recorded);
  BERTH_CHECK(read_all(
      segments, [&] { second.segment(); }, [&](const core::Event& event) { second.take(event); },
      [&](const core::Plan& plan) { second.decided(plan); }));
  second.finish();
  return recorded;
}

}  // namespace berth::simulation
