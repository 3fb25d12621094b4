#include "app/metrics.h"

#include <algorithm>
#include <array>
#include <future>
#include <map>

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "base/quantity.h"
#include "controllers/scaling/vertical/sizing_spec.h"
#include "objects/json.h"

namespace berth::app {
namespace {

using Labels = prometheus::Labels;

constexpr std::array kCatalogue = {
    Metric{"berth_build_info", MetricType::kGauge, "version", "Always 1; the version is a label"},
    Metric{"berth_container_cpu_seconds_total", MetricType::kCounter, "namespace,pod,container",
           "CPU time that a running container has used since it started"},
    Metric{"berth_container_memory_working_set_bytes", MetricType::kGauge,
           "namespace,pod,container", "Memory of a running container that cannot be reclaimed"},
    Metric{"berth_container_read_bytes_total", MetricType::kCounter, "namespace,pod,container",
           "Bytes that a running container has read from disks"},
    Metric{"berth_container_written_bytes_total", MetricType::kCounter, "namespace,pod,container",
           "Bytes that a running container has written to disks"},
    Metric{"berth_deployment_resizes_total", MetricType::kCounter, "namespace,deployment",
           "Changes of the size of a Deployment's pods by need, while they ran"},
    Metric{"berth_node_allocatable", MetricType::kGauge, "node,resource",
           "What pods may have of a node: cores, bytes or devices"},
    Metric{"berth_node_cpu_usage_cores", MetricType::kGauge, "",
           "CPU that the machine used in the last window, whoever used it"},
    Metric{"berth_node_memory_usage_bytes", MetricType::kGauge, "",
           "Memory of the machine that is not available, whoever uses it"},
    Metric{"berth_pods", MetricType::kGauge, "namespace,phase", "Pods by phase"},
    Metric{"berth_model_service_desired_replicas", MetricType::kGauge, "namespace,service",
           "Replicas that a ModelService is to have"},
    Metric{"berth_model_service_ready_replicas", MetricType::kGauge, "namespace,service",
           "And those that answer"},
    Metric{"berth_queue_guaranteed", MetricType::kGauge, "queue,resource",
           "What a queue is promised: cores, bytes or devices"},
    Metric{"berth_queue_limit", MetricType::kGauge, "queue,resource",
           "What a queue never goes above"},
    Metric{"berth_queue_used", MetricType::kGauge, "queue,resource", "What a queue has now"},
    Metric{"berth_scheduler_binds_total", MetricType::kCounter, "", "Pods that were placed"},
    Metric{"berth_scheduler_cycles_total", MetricType::kCounter, "", "Decision cycles"},
    Metric{"berth_scheduler_decision_seconds_total", MetricType::kCounter, "",
           "Time spent deciding"},
    Metric{"berth_scheduler_evictions_total", MetricType::kCounter, "",
           "Pods that were stopped for others"},
    Metric{"berth_scheduler_pending_tasks", MetricType::kGauge, "", "Pods that wait for a place"},
    Metric{"berth_scheduler_waiting_gangs", MetricType::kGauge, "", "Gangs that wait for a place"},
    Metric{"berth_scheduler_write_failures_total", MetricType::kCounter, "",
           "Writes of decisions that the API refused"},
};

/// The families of one scrape, each made when its first value is set.
class Scrape {
 public:
  void set(std::string_view name, double value, const Labels& labels = {}) {
    const auto row = std::find_if(kCatalogue.begin(), kCatalogue.end(),
                                  [&](const Metric& metric) { return metric.name == name; });
    if (row->type == MetricType::kGauge)
      prometheus::BuildGauge()
          .Name(std::string(name))
          .Help(std::string(row->help))
          .Register(registry_)
          .Add(labels)
          .Set(value);
    else
      prometheus::BuildCounter()
          .Name(std::string(name))
          .Help(std::string(row->help))
          .Register(registry_)
          .Add(labels)
          .Increment(value);
  }

  /// One sample for each entry of a resource list.
  void set_resources(std::string_view name, const JsonObject& list, Labels labels) {
    for (const auto& [resource, amount] : list) {
      const auto quantity =
          amount.is_string()  ? Quantity::parse(std::string_view(amount.get_string()))
          : amount.is_int64() ? Result<Quantity>(Quantity::from_units(amount.get_int64()))
                              : fail(ErrorCode::kInvalid, "not a quantity");
      if (!quantity) continue;
      labels["resource"] = std::string(resource);
      set(name, static_cast<double>(quantity->milli()) / 1000, labels);
    }
  }

  std::string text() const { return prometheus::TextSerializer().Serialize(registry_.Collect()); }

 private:
  prometheus::Registry registry_{prometheus::Registry::InsertBehavior::Merge};
};

std::unique_ptr<client::Informer> follow(client::ApiClient& client, platform::EventLoop& loop,
                                         client::Resource resource) {
  auto informer = std::make_unique<client::Informer>(
      client, loop,
      client::Informer::Options{
          .collection = {.resource = std::move(resource), .ns = {}, .name = {}, .subresource = {}},
          .label_selector = {},
          .field_selector = {}},
      client::Informer::Handlers{});
  informer->start();
  return informer;
}

}  // namespace

std::span<const Metric> metric_catalogue() {
  return kCatalogue;
}

std::string metrics_page() {
  std::string page =
      "# Metrics\n\n"
      "`GET /metrics` on the API's address, with a token, in the Prometheus text format. This page "
      "is made\n"
      "from the catalogue in `src/app/metrics.cc`: `BERTH_WRITE_DOCS=1 build/debug/unit_app` "
      "writes it anew.\n\n"
      "| metric | type | labels | what |\n|---|---|---|---|\n";
  for (const Metric& metric : kCatalogue)
    page +=
        fmt::format("| `{}` | {} | {} | {} |\n", metric.name,
                    metric.type == MetricType::kGauge ? "gauge" : "counter",
                    metric.labels.empty() ? "" : fmt::format("`{}`", metric.labels), metric.help);
  return page;
}

Metrics::Metrics(client::ApiClient& client, const node::Agent& agent,
                 const bridge::Scheduler& scheduler, std::string build)
    : agent_(agent), scheduler_(scheduler), build_(std::move(build)) {
  const auto begin = [this, &client] {
    pods_ = follow(client, thread_.loop(), {"", "v1", "pods"});
    nodes_ = follow(client, thread_.loop(), {"", "v1", "nodes"});
    queues_ = follow(client, thread_.loop(), {"berth.dev", "v1alpha1", "queues"});
    services_ = follow(client, thread_.loop(), {"berth.dev", "v1alpha1", "modelservices"});
    deployments_ = follow(client, thread_.loop(), {"apps", "v1", "deployments"});
  };
  thread_.start(begin, [this] {
    pods_.reset();
    nodes_.reset();
    queues_.reset();
    services_.reset();
    deployments_.reset();
  });
}

std::string Metrics::text() {
  std::promise<std::string> promise;
  auto text = promise.get_future();
  thread_.post([this, &promise] { promise.set_value(collect()); });
  return text.get();
}

std::string Metrics::collect() const {
  Scrape scrape;
  scrape.set("berth_build_info", 1, {{"version", build_}});

  const node::UsageSnapshot usage = agent_.usage();
  scrape.set("berth_node_cpu_usage_cores", usage.machine.cpu_cores);
  scrape.set("berth_node_memory_usage_bytes", static_cast<double>(usage.machine.memory_bytes));
  for (const node::PodUsage& pod : usage.pods)
    for (const node::ContainerUsage& used : pod.containers) {
      const Labels labels{{"namespace", pod.ns}, {"pod", pod.name}, {"container", used.name}};
      scrape.set("berth_container_cpu_seconds_total", static_cast<double>(used.cpu_ns) / 1e9,
                 labels);
      scrape.set("berth_container_memory_working_set_bytes", static_cast<double>(used.memory_bytes),
                 labels);
      scrape.set("berth_container_read_bytes_total", static_cast<double>(used.io_read_bytes),
                 labels);
      scrape.set("berth_container_written_bytes_total", static_cast<double>(used.io_written_bytes),
                 labels);
    }

  std::map<std::pair<std::string, std::string>, int> pods;
  for (const auto& [key, pod] : pods_->objects())
    ++pods[{key.first, std::string(objects::find_string(*pod, {"status", "phase"}, "Pending"))}];
  for (const auto& [key, count] : pods)
    scrape.set("berth_pods", count, {{"namespace", key.first}, {"phase", key.second}});

  for (const auto& [key, node] : nodes_->objects())
    scrape.set_resources("berth_node_allocatable",
                         objects::find_object(*node, {"status", "allocatable"}),
                         {{"node", key.second}});
  for (const auto& [key, queue] : queues_->objects()) {
    const Labels labels{{"queue", key.second}};
    scrape.set_resources("berth_queue_guaranteed",
                         objects::find_object(*queue, {"spec", "guaranteed"}), labels);
    scrape.set_resources("berth_queue_limit", objects::find_object(*queue, {"spec", "limit"}),
                         labels);
    scrape.set_resources("berth_queue_used", objects::find_object(*queue, {"status", "used"}),
                         labels);
  }

  for (const auto& [key, service] : services_->objects()) {
    const Labels labels{{"namespace", key.first}, {"service", key.second}};
    scrape.set("berth_model_service_desired_replicas",
               static_cast<double>(objects::find_int(*service, {"status", "replicas"})), labels);
    scrape.set("berth_model_service_ready_replicas",
               static_cast<double>(objects::find_int(*service, {"status", "readyReplicas"})),
               labels);
  }

  for (const auto& [key, json] : deployments_->objects()) {
    const auto object = controllers::Object::read(controllers::Kind::kDeployment, json);
    if (!object || object->annotation(controllers::kSizingState).empty()) continue;
    scrape.set("berth_deployment_resizes_total",
               static_cast<double>(controllers::Sizing::read(*object).changes),
               {{"namespace", key.first}, {"deployment", key.second}});
  }

  const bridge::SchedulerStats stats = scheduler_.stats();
  scrape.set("berth_scheduler_binds_total", static_cast<double>(stats.binds));
  scrape.set("berth_scheduler_cycles_total", static_cast<double>(stats.cycles));
  scrape.set("berth_scheduler_decision_seconds_total", stats.decision_seconds);
  scrape.set("berth_scheduler_evictions_total", static_cast<double>(stats.evictions));
  scrape.set("berth_scheduler_pending_tasks", static_cast<double>(stats.pending_tasks));
  scrape.set("berth_scheduler_waiting_gangs", static_cast<double>(stats.waiting_gangs));
  scrape.set("berth_scheduler_write_failures_total", static_cast<double>(stats.write_failures));
  return scrape.text();
}

}  // namespace berth::app
