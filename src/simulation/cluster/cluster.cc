#include "simulation/cluster/cluster.h"

#include <algorithm>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "base/rng.h"
#include "control/control.h"
#include "control/prediction.h"
#include "simulation/cluster/camera.h"
#include "simulation/cluster/running_job.h"

namespace berth::simulation {
namespace {

/// From being told to stop until a task is gone.
constexpr Duration kStopping = Duration::seconds(10);
/// With nothing that could still happen: so many decisions in vain, and the rest never starts.
constexpr int kInVain = 5;

struct Happening {
  enum class Kind { kChange, kSubmit, kEnd, kStopped, kNodeFails, kNodeReturns };
  Time at;
  uint64_t order;  ///< of equal times, the first that was foreseen
  Kind kind;
  size_t index;    ///< of the change, the job, the member (of all jobs), or the node
  uint64_t valid;  ///< kEnd, kStopped: of the start that it ends
};

struct Later {
  bool operator()(const Happening& a, const Happening& b) const {
    return std::pair(a.at, a.order) > std::pair(b.at, b.order);
  }
};

struct Member {
  size_t job;
  size_t index;  ///< in the job
  std::string node;
  bool stopping = false;
  uint64_t start = 0;  ///< counts its starts
};

class Simulation {
 public:
  Simulation(const ClusterRun& run, const Clock& clock)
      : run_(run),
        workload_(*run.workload),
        clock_(clock),
        rng_(run.seed),
        camera_(workload_, run.frames) {}

  Result<ClusterResult> go() {
    control::Control::Options options;
    options.seed = run_.seed;
    options.policy = run_.policy;
    options.journal = run_.journal;
    now_ = workload_.origin;
    BERTH_TRY(control_, control::Control::make(std::move(options)));
    set_up();
    while (left_ > 0 && in_vain_ < kInVain && step()) {
    }
    return finish();
  }

 private:
  void foresee(Time at, Happening::Kind kind, size_t index, uint64_t valid = 0) {
    ahead_.push({at, order_++, kind, index, valid});
    if (kind != Happening::Kind::kNodeFails) ++moving_;
  }

  void set_up() {
    for (const core::NodeUpsert& node : workload_.nodes)
      if (!workload_.late_nodes.contains(node.name)) control_->add(node);
    for (const core::QueueUpsert& queue : workload_.queues) control_->add(queue);
    for (const core::NodeUpsert& node : workload_.nodes)
      for (const core::DeviceSpec& device : node.devices) all_milli_ += device.healthy ? 1000 : 0;
    result_.jobs.resize(workload_.jobs.size());
    left_ = workload_.jobs.size();
    for (size_t i = 0; i < workload_.changes.size(); ++i)
      foresee(workload_.origin + workload_.changes[i].first, Happening::Kind::kChange, i);
    for (size_t i = 0; i < workload_.jobs.size(); ++i) {
      const Work& work = workload_.jobs[i];
      jobs_.emplace_back(work.runtime, work.checkpoint, work.members.size(), needed_of(work));
      first_member_.push_back(members_.size());
      for (size_t m = 0; m < work.members.size(); ++m) {
        by_name_.emplace(work.members[m].name, members_.size());
        members_.push_back({i, m, {}, false, 0});
      }
      foresee(workload_.origin + work.submit, Happening::Kind::kSubmit, i);
    }
    if (run_.failures.between.ns > 0)
      for (size_t i = 0; i < workload_.nodes.size(); ++i)
        foresee(workload_.origin + drawn(run_.failures.between), Happening::Kind::kNodeFails, i);
  }

  Duration drawn(Duration mean) {
    return Duration::from_seconds(std::max(1.0, rng_.exponential(mean.to_seconds())));
  }

  bool step() {
    const std::optional<Time> wake = control_->next_wakeup();
    if (ahead_.empty() && !wake) return false;
    const Time next = ahead_.empty()                     ? *wake
                      : !wake || ahead_.top().at < *wake ? ahead_.top().at
                                                         : *wake;
    if (run_.horizon && next > workload_.origin + *run_.horizon) return false;
    result_.allocated_percent += static_cast<double>(held_milli_) * (next - now_).to_seconds();
    now_ = next;
    while (!ahead_.empty() && ahead_.top().at == now_) {
      const Happening happening = ahead_.top();
      ahead_.pop();
      if (happening.kind != Happening::Kind::kNodeFails) --moving_;
      happen(happening);
    }
    decide();
    return true;
  }

  void happen(const Happening& event) {
    switch (event.kind) {
      case Happening::Kind::kChange:
        change(workload_.changes[event.index].second);
        break;
      case Happening::Kind::kSubmit:
        submit(event.index);
        break;
      case Happening::Kind::kEnd:
        if (event.valid == ends_[event.index]) end(event.index);
        break;
      case Happening::Kind::kStopped:
        if (members_[event.index].stopping && members_[event.index].start == event.valid)
          gone(event.index);
        break;
      case Happening::Kind::kNodeFails:
        fail_node(event.index);
        break;
      case Happening::Kind::kNodeReturns:
        control_->add(workload_.nodes[event.index]);
        foresee(now_ + drawn(run_.failures.between), Happening::Kind::kNodeFails, event.index);
        break;
    }
  }

  void change(const core::Event& event) {
    control_->add(event);
    if (const auto* node = std::get_if<core::NodeRemove>(&event)) lose_node(node->name);
  }

  void submit(size_t job) {
    const Work& work = workload_.jobs[job];
    if (work.has_gang) {
      core::GangUpsert gang = work.gang;
      gang.created = now_;
      control_->add(std::move(gang));
    }
    if (work.running) return go_on(job);
    for (size_t m = 0; m < work.members.size(); ++m) wait(first_member_[job] + m);
    waiting_.insert(job);
  }

  /// It runs where it says it does.
  void go_on(size_t job) {
    const Work& work = workload_.jobs[job];
    for (size_t m = 0; m < work.members.size(); ++m) {
      const core::TaskUpsert& task = work.members[m];
      if (task.node.empty()) {
        wait(first_member_[job] + m);
        continue;
      }
      control_->add(task);
      started(first_member_[job] + m, task.node, task.started);
    }
  }

  /// The member wants a place, for the first time or again. It keeps its age.
  void wait(size_t member) {
    const Work& work = workload_.jobs[members_[member].job];
    core::TaskUpsert task = work.members[members_[member].index];
    task.created = workload_.origin + work.submit;
    task.grace = kStopping;
    control_->add(std::move(task));
  }

  void end(size_t job) {
    result_.jobs[job].end = now_ - workload_.origin;
    --left_;
    waiting_.erase(job);
    const Work& work = workload_.jobs[job];
    for (size_t m = 0; m < work.members.size(); ++m) {
      Member& member = members_[first_member_[job] + m];
      if (!member.node.empty()) held_milli_ -= milli_of(work);
      member.node.clear();
      member.stopping = false;
      control_->add(core::TaskRemove{work.members[m].name, true});
    }
    if (work.has_gang) control_->add(core::GangRemove{work.name});
  }

  /// It stopped before its end: its controller makes it again.
  void gone(size_t index) {
    Member& member = members_[index];
    const Work& work = workload_.jobs[member.job];
    stop_work(index);
    member.node.clear();
    member.stopping = false;
    held_milli_ -= milli_of(work);
    control_->add(core::TaskRemove{work.members[member.index].name, false});
    wait(index);
  }

  void stop_work(size_t index) {
    const Member& member = members_[index];
    RunningJob& job = jobs_[member.job];
    const bool ran = job.whole();
    const Duration lost = job.stop(member.index, now_);
    if (ran && !job.whole()) ++ends_[member.job];
    const Work& work = workload_.jobs[member.job];
    result_.jobs[member.job].lost = result_.jobs[member.job].lost + lost;
    result_.lost_gpu_hours += lost.to_seconds() / 3600 * static_cast<double>(milli_of(work)) /
                              1000 * static_cast<double>(work.members.size());
  }

  void fail_node(size_t index) {
    const std::string& name = workload_.nodes[index].name;
    ++result_.failures;
    control_->add(core::NodeRemove{name});
    lose_node(name);
    foresee(now_ + drawn(run_.failures.repair), Happening::Kind::kNodeReturns, index);
  }

  void lose_node(const std::string& name) {
    for (size_t i = 0; i < members_.size(); ++i)
      if (members_[i].node == name) gone(i);
  }

  void decide() {
    const Time began = clock_.now();
    const core::Plan& plan = control_->cycle(now_);
    result_.decision_seconds += (clock_.now() - began).to_seconds();
    ++result_.cycles;
    std::set<std::string> preempted;
    bool acted = false;
    for (const core::Action& action : plan.actions) {
      if (const auto* bind = std::get_if<core::Bind>(&action)) {
        start(*bind);
        acted = true;
      }
      if (const auto* evict = std::get_if<core::Evict>(&action)) {
        stop(evict->task);
        preempted.insert(workload_.jobs[members_[by_name_.at(evict->task)].job].name);
        acted = true;
      }
    }
    result_.preemptions += preempted.size();
    if (run_.predict) predict(plan);
    in_vain_ = acted || moving_ > 0 ? 0 : in_vain_ + 1;
    const double at_s = (now_ - workload_.origin).to_seconds();
    if (!camera_.wants(at_s)) return;
    std::vector<double> waits;
    for (size_t job : waiting_) waits.push_back(at_s - workload_.jobs[job].submit.to_seconds());
    camera_.look(control_->state(), at_s, waits);
  }

  void predict(const core::Plan& plan) {
    for (const core::Waiting& waiting : plan.waiting) {
      const bool waits = std::any_of(waiting.reasons.begin(), waiting.reasons.end(),
                                     [](const core::Reason& reason) {
                                       return reason.code == core::ReasonCode::kInsufficient;
                                     });
      if (waiting.position != 1 || !waits) continue;
      const core::State& state = control_->state();
      const core::GangId gang = state.find_gang(waiting.gang);
      const core::Task& member = state.task(state.gang(gang).tasks.front());
      const size_t job = members_[by_name_.at(member.name)].job;
      if (result_.jobs[job].starts > 0 || predictions_.contains(job)) continue;
      predictions_.emplace(job, control::predict_start(state, run_.seed, gang));
    }
  }

  void check_prediction(size_t job) {
    const auto made = predictions_.find(job);
    if (made == predictions_.end() || !made->second) return;
    const control::StartPrediction& prediction = *made->second;
    ++result_.predicted;
    result_.within_50_percent += now_ >= prediction.from_50 && now_ <= prediction.to_50 ? 1 : 0;
    result_.within_90_percent += now_ >= prediction.from_90 && now_ <= prediction.to_90 ? 1 : 0;
  }

  void start(const core::Bind& bind) {
    control_->add(core::BindDone{bind.place.task, true});
    started(by_name_.at(bind.place.task), bind.place.node, now_);
  }

  void started(size_t index, const std::string& node, Time since) {
    Member& member = members_[index];
    member.node = node;
    ++member.start;
    const Work& work = workload_.jobs[member.job];
    held_milli_ += milli_of(work);
    if (!jobs_[member.job].bind(member.index, since)) return;
    JobOutcome& outcome = result_.jobs[member.job];
    if (outcome.starts++ == 0) {
      outcome.first_start = since - workload_.origin;
      check_prediction(member.job);
    }
    waiting_.erase(member.job);
    foresee(jobs_[member.job].end(), Happening::Kind::kEnd, member.job, ends_[member.job]);
  }

  void stop(const std::string& task) {
    const size_t index = by_name_.at(task);
    stop_work(index);
    members_[index].stopping = true;
    foresee(now_ + kStopping, Happening::Kind::kStopped, index, members_[index].start);
  }

  Result<ClusterResult> finish() {
    if (run_.horizon) {
      const Duration rest = workload_.origin + *run_.horizon - now_;
      result_.allocated_percent += static_cast<double>(held_milli_) * rest.to_seconds();
    }
    result_.frames = camera_.take();
    add_up(workload_, run_.horizon, result_);
    const double last = result_.makespan_s;
    result_.allocated_percent *=
        last > 0 && all_milli_ > 0 ? 100 / (last * static_cast<double>(all_milli_)) : 0;
    if (result_.predicted > 0) {
      result_.within_50_percent *= 100 / static_cast<double>(result_.predicted);
      result_.within_90_percent *= 100 / static_cast<double>(result_.predicted);
    }
    return std::move(result_);
  }

  const ClusterRun& run_;
  const Workload& workload_;
  const Clock& clock_;
  Rng rng_;
  Camera camera_;
  std::unique_ptr<control::Control> control_;
  ClusterResult result_;

  Time now_;
  std::priority_queue<Happening, std::vector<Happening>, Later> ahead_;
  uint64_t order_ = 0;
  size_t moving_ = 0;  ///< of what is ahead, what brings jobs on
  int in_vain_ = 0;
  size_t left_ = 0;
  int64_t held_milli_ = 0;
  int64_t all_milli_ = 0;

  std::vector<RunningJob> jobs_;
  std::vector<size_t> first_member_;
  std::vector<Member> members_;
  std::unordered_map<std::string, size_t> by_name_;
  std::unordered_map<size_t, uint64_t> ends_;
  std::set<size_t> waiting_;  ///< jobs that have not started yet
  std::map<size_t, std::optional<control::StartPrediction>> predictions_;  ///< by job
};

}  // namespace

int64_t milli_of(const Work& work) {
  const auto& devices = work.members.front().shape.devices;
  return int64_t{devices.count} * devices.milli;
}

size_t needed_of(const Work& work) {
  return work.has_gang ? std::min<size_t>(work.gang.min, work.members.size()) : 1;
}

void add_up(const Workload& workload, std::optional<Duration> horizon, ClusterResult& result) {
  std::vector<double> waits;
  double jct = 0;
  size_t ended = 0;
  for (size_t i = 0; i < result.jobs.size(); ++i) {
    const JobOutcome& job = result.jobs[i];
    const double submitted = workload.jobs[i].submit.to_seconds();
    const bool waited = !workload.jobs[i].running && (horizon || job.starts > 0);
    if (waited)
      waits.push_back((job.starts > 0 ? job.first_start : *horizon).to_seconds() - submitted);
    result.unfinished += job.end.ns < 0;
    if (job.end.ns < 0) continue;
    ++ended;
    result.makespan_s = std::max(result.makespan_s, job.end.to_seconds());
    jct += job.end.to_seconds() - submitted;
  }
  if (horizon) result.makespan_s = horizon->to_seconds();
  if (ended > 0) result.mean_jct_s = jct / static_cast<double>(ended);
  std::sort(waits.begin(), waits.end());
  if (!waits.empty()) {
    for (double wait : waits) result.mean_wait_s += wait / static_cast<double>(waits.size());
    result.median_wait_s = waits[waits.size() / 2];
    result.p95_wait_s = waits[waits.size() * 95 / 100];
  }
  if (result.frames.empty()) return;
  result.fairness = 0;
  for (const Frame& frame : result.frames)
    result.fairness += frame.fairness / static_cast<double>(result.frames.size());
}

Result<ClusterResult> run_cluster(const ClusterRun& run, const Clock& clock) {
  return Simulation(run, clock).go();
}

}  // namespace berth::simulation
