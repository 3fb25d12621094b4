#pragma once

#include <string>

#include "apiserver/providers.h"
#include "bridge/cost/bookkeeper.h"
#include "bridge/scheduler.h"
#include "node/agent/agent.h"

/// What the API server asks of its siblings, answered by them. The server, the node agent and the
/// scheduler know nothing of each other; these few lines join them.
namespace berth::app {

class NodeLogs final : public apiserver::LogSource {
 public:
  explicit NodeLogs(const node::Agent& agent) : agent_(agent) {}
  Result<std::unique_ptr<apiserver::LogStream>> open(
      apiserver::LogRequest request, std::shared_ptr<apiserver::LogSink> sink) override;

 private:
  const node::Agent& agent_;
};

class NodeUsage final : public apiserver::UsageSource {
 public:
  NodeUsage(const node::Agent& agent, std::string node_name)
      : agent_(agent), node_name_(std::move(node_name)) {}
  std::vector<apiserver::PodUsage> pods() override;
  std::vector<apiserver::NodeUsage> nodes() override;

 private:
  const node::Agent& agent_;
  std::string node_name_;
};

class SchedulerExplanations final : public apiserver::ExplainSource {
 public:
  explicit SchedulerExplanations(bridge::Scheduler& scheduler) : scheduler_(scheduler) {}
  void explain(std::string ns, std::string pod, std::function<void(Result<Json>)> done) override;

 private:
  bridge::Scheduler& scheduler_;
};

class LedgerCosts final : public apiserver::CostSource {
 public:
  explicit LedgerCosts(bridge::Bookkeeper& bookkeeper) : bookkeeper_(bookkeeper) {}
  void report(apiserver::CostQuery query, std::function<void(Result<Json>)> done) override;

 private:
  bridge::Bookkeeper& bookkeeper_;
};

}  // namespace berth::app
