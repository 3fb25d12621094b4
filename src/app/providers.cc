#include "app/providers.h"

#include <cmath>

namespace berth::app {
namespace {

/// A node's log as the server reads it.
class FollowedLog final : public apiserver::LogStream {
 public:
  explicit FollowedLog(std::unique_ptr<node::LogFollower> follower)
      : follower_(std::move(follower)) {}
  void resume() override { follower_->resume(); }

 private:
  std::unique_ptr<node::LogFollower> follower_;
};

Quantity cores(double value) {
  return Quantity::from_milli(std::llround(value * 1000));
}

}  // namespace

Result<std::unique_ptr<apiserver::LogStream>> NodeLogs::open(
    apiserver::LogRequest request, std::shared_ptr<apiserver::LogSink> sink) {
  const node::Agent::LogTarget target{
      .pod_uid = request.pod_uid, .container = request.container, .previous = request.previous};
  const node::LogQuery query{.timestamps = request.timestamps,
                             .tail_lines = request.tail_lines,
                             .limit_bytes = request.limit_bytes,
                             .since = request.since};
  BERTH_TRY(
      auto follower,
      agent_.open_log(target, query, request.follow,
                      {.write = [sink](std::string bytes) { return sink->write(std::move(bytes)); },
                       .end = [sink](Result<> how) { sink->end(std::move(how)); }}));
  return std::make_unique<FollowedLog>(std::move(follower));
}

std::vector<apiserver::PodUsage> NodeUsage::pods() {
  std::vector<apiserver::PodUsage> pods;
  for (const node::PodUsage& usage : agent_.usage().pods) {
    apiserver::PodUsage pod{.ns = usage.ns,
                            .pod = usage.name,
                            .at = usage.at,
                            .window = usage.window,
                            .containers = {}};
    for (const node::ContainerUsage& container : usage.containers)
      pod.containers.push_back({.name = container.name,
                                .cpu = cores(container.cpu_cores),
                                .memory = Quantity::from_bytes(container.memory_bytes)});
    pods.push_back(std::move(pod));
  }
  return pods;
}

std::vector<apiserver::NodeUsage> NodeUsage::nodes() {
  const node::MachineUsage machine = agent_.usage().machine;
  return {{.node = node_name_,
           .at = machine.at,
           .window = machine.window,
           .cpu = cores(machine.cpu_cores),
           .memory = Quantity::from_bytes(machine.memory_bytes)}};
}

void LedgerCosts::report(apiserver::CostQuery query, std::function<void(Result<Json>)> done) {
  if (query.focus)
    return bookkeeper_.focus(query.from, query.to,
                             [done = std::move(done)](Result<std::string> csv) {
                               if (csv) return done(Json(*std::move(csv)));
                               done(std::unexpected(std::move(csv).error()));
                             });
  const auto by = core::cost_dimension(query.by);
  if (!by)
    return done(fail(ErrorCode::kInvalid, "`" + query.by + "` is nothing that costs are told by",
                     "by", "write queue, tenant, model, job or consumer"));
  bookkeeper_.report(*by, query.from, query.to, std::move(done));
}

void SchedulerExplanations::explain(std::string ns, std::string pod,
                                    std::function<void(Result<Json>)> done) {
  scheduler_.explain_pod(std::move(ns), std::move(pod), std::move(done));
}

}  // namespace berth::app
