#include "simulation/cluster/job_history.h"

#include <algorithm>
#include <utility>

namespace berth::simulation {

PastWork& JobHistory::job_named(const std::string& name, Time now) {
  const auto [known, is_new] = jobs_.try_emplace(name);
  if (is_new) {
    known->second.name = name;
    known->second.submit = now;
    order_.push_back(name);
  }
  return known->second;
}

std::string JobHistory::name_of(const core::TaskUpsert& task) const {
  if (!task.gang.empty()) return task.gang;
  if (const auto known = job_of_.find(task.name); known != job_of_.end()) return known->second;
  if (jobs_.contains(task.name) || task.owner.empty()) return task.name;
  for (const std::string& name : order_) {
    const PastWork& job = jobs_.at(name);
    if (!job.yielded || job.gang || !job.here.empty()) continue;
    const core::TaskUpsert& gone = job.members.front();
    if (gone.owner == task.owner && gone.ns == task.ns && gone.shape == task.shape) return name;
  }
  return task.name;
}

PastWork* JobHistory::job_of(const std::string& task) {
  const auto known = job_of_.find(task);
  return known == job_of_.end() ? nullptr : &jobs_.at(known->second);
}

void JobHistory::on(const core::GangUpsert& gang, Time now) {
  job_named(gang.name, now).gang = gang;
}

void JobHistory::on(const core::TaskUpsert& task, Time now) {
  if (!task.managed) return;
  const std::string name = name_of(task);
  PastWork& job = job_named(name, now);
  if (!job.here.contains(task.name)) {
    if (job.end) set_aside(job, now);
    job.yielded = false;
    job_of_[task.name] = name;
    std::vector<bool> taken(job.members.size() + 1, false);
    for (const auto& [other, place] : job.here) taken[place] = true;
    const auto place =
        static_cast<size_t>(std::find(taken.begin(), taken.end(), false) - taken.begin());
    if (place == job.members.size()) job.members.emplace_back();
    job.members[place] = task;
    job.here[task.name] = place;
  }
  if (task.gated) job.submit = std::max(job.submit, now);
  job.checkpoint = std::max(job.checkpoint, task.last_checkpoint);
  const bool holds = task.phase >= core::TaskPhase::kAssumed &&
                     task.phase < core::TaskPhase::kReleasing && !task.node.empty();
  if (!holds || job.stopping.contains(task.name)) return;
  job.members[job.here.at(task.name)] = task;
  bind(job, task.name, task.started.ns != 0 ? task.started : now);
}

void JobHistory::on(const core::TaskRemove& removed, Time now) {
  PastWork* job = job_of(removed.name);
  if (job == nullptr) return;
  const bool told = job->stopping.erase(removed.name) > 0;
  job->here.erase(removed.name);
  job_of_.erase(removed.name);
  if (told || job->here.empty()) {
    job->bound.erase(removed.name);
  } else if (!removed.completed) {
    stop(*job, removed.name, now);  // its pod is gone, and will be replaced
  }
  if (!job->here.empty()) return;
  job->yielded = told;
  if (!told) end(*job, now);
}

void JobHistory::on(const core::BindDone& done, Time now) {
  if (PastWork* job = done.ok ? nullptr : job_of(done.task)) stop(*job, done.task, now);
}

void JobHistory::on(const core::Plan& plan, Time now) {
  std::set<std::string> preempted;
  for (const core::Action& action : plan.actions) {
    if (const auto* bound = std::get_if<core::Bind>(&action))
      if (PastWork* job = job_of(bound->place.task)) bind(*job, bound->place.task, now);
    const auto* evict = std::get_if<core::Evict>(&action);
    PastWork* job = evict == nullptr ? nullptr : job_of(evict->task);
    if (job == nullptr) continue;
    stop(*job, evict->task, now);
    job->stopping.insert(evict->task);
    preempted.insert(job->name);
  }
  preemptions_ += preempted.size();
}

void JobHistory::bind(PastWork& job, const std::string& task, Time since) {
  if (!job.bound.insert(task).second || job.since || job.bound.size() < job.needed()) return;
  job.since = since;
  job.checkpoint = since;
  if (job.starts++ == 0) job.first_start = since;
}

void JobHistory::stop(PastWork& job, const std::string& task, Time now) {
  if (job.bound.erase(task) == 0 || !job.since || job.bound.size() >= job.needed()) return;
  const Time kept = std::clamp(job.checkpoint, *job.since, std::max(now, *job.since));
  const auto& devices = job.members.front().shape.devices;
  job.saved = job.saved + (kept - *job.since);
  job.lost = job.lost + (now - kept);
  lost_gpu_hours_ += (now - kept).to_seconds() / 3600 * devices.count * devices.milli / 1000 *
                     static_cast<double>(job.members.size());
  job.since.reset();
}

void JobHistory::end(PastWork& job, Time now) {
  job.end = now;
  if (job.since) job.last_run = now - *job.since;
  job.since.reset();
}

/// It ended, and another of its name comes.
void JobHistory::set_aside(PastWork& job, Time now) {
  PastWork next;
  next.name = job.name;
  next.gang = job.gang;
  next.submit = now;
  const std::string mark = "#" + std::to_string(ended_.size() + 1);
  job.name += mark;
  if (job.gang) job.gang->name += mark;
  for (core::TaskUpsert& member : job.members) {
    member.name += mark;
    if (job.gang) member.gang += mark;
  }
  ended_.push_back(std::exchange(job, std::move(next)));
}

std::vector<PastWork> JobHistory::take() {
  std::vector<PastWork> jobs = std::move(ended_);
  for (const std::string& name : order_)
    if (PastWork& job = jobs_.at(name); !job.members.empty()) jobs.push_back(std::move(job));
  return jobs;
}

}  // namespace berth::simulation
