#include "bridge/scheduler.h"

#include <future>
#include <mutex>

#include <fmt/format.h>

#include "bridge/cluster_view.h"
#include "bridge/ended_pod.h"
#include "bridge/plan_writer.h"
#include "bridge/status_writer.h"
#include "control/control.h"
#include "control/journal_file.h"
#include "platform/loop_thread.h"

namespace berth::bridge {
namespace {

/// Events that come together are decided on together.
constexpr Duration kCoalesce = Duration::milliseconds(1);

}  // namespace

class Scheduler::Body {
 public:
  Body(SchedulerOptions options, std::unique_ptr<control::JournalFiles> journal)
      : options_(std::move(options)), journal_(std::move(journal)) {}

  Result<> prepare() {
    control::Control::Options control;
    control.seed = options_.seed;
    control.build = options_.build;
    control.journal = journal_.get();
    control.policy = options_.configuration.policy;
    control.executor = &executor_;
    BERTH_TRY(control_, control::Control::make(std::move(control)));
    return {};
  }

  void run_thread() {
    thread_.start([this] { begin(); },
                  [this] {
                    // Informers and pending answers belong to this thread.
                    view_.reset();
                    writer_.reset();
                    status_.reset();
                  });
  }

  platform::LoopThread& thread() { return thread_; }

  Result<Json> explain(const std::string& ns, const std::string& name) const {
    const std::string task = ns + "/" + name;
    if (view_ == nullptr || !view_->synced())
      return fail(ErrorCode::kUnavailable, "the scheduler has not seen everything yet", task,
                  "ask again in a moment");
    if (const std::string why = view_->refused(task); !why.empty())
      return Json(
          JsonObject{{"task", task},
                     {"phase", "Pending"},
                     {"reasons", JsonArray{JsonObject{{"code", "Refused"}, {"message", why}}}},
                     {"changes", JsonArray()}});
    const SharedJson pod = view_->object(task);
    if (pod)
      if (auto ended = explain_ended(*pod)) return *std::move(ended);
    auto explanation = control_->explain(task);
    if (!explanation) return std::unexpected(std::move(explanation).error());
    Json answer = control::to_json(*explanation);
    if (pod) explain_waiting_containers(*pod, answer);
    return answer;
  }

  void add(core::Event event) {
    control_->add(std::move(event));
    if (cycle_timer_ != 0 || view_ == nullptr || !view_->synced()) return;
    cycle_timer_ = loop_.after(kCoalesce, [this] { cycle(); });
  }

  Result<> configure(SchedulerConfiguration configuration) {
    if (configuration == options_.configuration) return {};
    BERTH_CHECK(control_->set_policy(configuration.policy));
    options_.configuration = std::move(configuration);
    view_->set_queue_defaults(queue_defaults());
    if (view_->synced() && cycle_timer_ == 0)
      cycle_timer_ = loop_.after(kCoalesce, [this] { cycle(); });
    return {};
  }

  SchedulerStats stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
  }

 private:
  /// Control is made before the writer, which needs what only the thread has.
  struct LateExecutor : control::Executor {
    void execute(const core::Plan& plan) override {
      if (writer != nullptr) writer->execute(plan);
    }
    PlanWriter* writer = nullptr;
  };

  QueueDefaults queue_defaults() const {
    return {options_.configuration.policy.default_times, options_.configuration.default_reclaim};
  }

  void begin() {
    status_ = std::make_unique<StatusWriter>(options_.client, options_.clock);
    writer_ = std::make_unique<PlanWriter>(
        PlanWriter::Context{options_.client, loop_, options_.clock,
                            [this](const std::string& task) { return view_->pod(task); },
                            [this](const core::PlaceSpec& place) { return devices_of(place); },
                            [this](core::Event event) { add(std::move(event)); }});
    executor_.writer = writer_.get();
    view_ = std::make_unique<ClusterView>(
        ClusterView::Options{options_.client, loop_, queue_defaults(), options_.default_scheduler},
        ClusterView::Handlers{
            .event = [this](core::Event event) { add(std::move(event)); },
            .synced =
                [this] {
                  log(false, "scheduler: has seen everything, decides from now on");
                  cycle();
                },
            .refused = [this](const PodRef& pod,
                              const std::string& why) { status_->refused(pod, why); },
            .gone =
                [this](const std::string& task) {
                  status_->forget(task);
                  writer_->forget(task);
                },
            .trouble = [this](const std::string& text) { log(true, "scheduler: " + text); }});
    view_->start();
  }

  void cycle() {
    if (cycle_timer_ != 0) loop_.cancel(std::exchange(cycle_timer_, 0));
    if (wake_timer_ != 0) loop_.cancel(std::exchange(wake_timer_, 0));
    const Time begun = options_.clock.now();
    const core::Plan& plan = control_->cycle(begun);
    const Duration took = options_.clock.now() - begun;
    for (const core::Action& action : plan.actions)
      if (const auto* evict = std::get_if<core::Evict>(&action)) view_->keep_age(evict->task);
    status_->waiting(
        control_->state(), plan, [this](const std::string& task) { return view_->pod(task); },
        [this](const std::string& task) { return writer_->delayed(task); });
    tell_queues();
    publish(plan, took);
    wake(plan);
  }

  /// At once, and again when the pause is over, for what changed meanwhile.
  void tell_queues() {
    queues_changed_ = true;
    if (queue_timer_ != 0) return;
    queues_changed_ = false;
    queue_timer_ = loop_.after(status_->queues(control_->state()), [this] {
      queue_timer_ = 0;
      if (queues_changed_) tell_queues();
    });
  }

  void wake(const core::Plan& plan) {
    std::optional<Time> at = plan.next_wakeup;
    if (const auto due = status_->due(); due && (!at || *due < *at)) at = due;
    if (!at) return;
    const Duration pause = std::max(*at - options_.clock.now(), kCoalesce);
    wake_timer_ = loop_.after(pause, [this] {
      wake_timer_ = 0;
      cycle();
    });
  }

  void publish(const core::Plan& plan, Duration took) {
    const core::State& state = control_->state();
    size_t pending = 0;
    size_t tasks = 0;
    for (const core::Task& task : state.tasks()) {
      if (task.phase == core::TaskPhase::kGone) continue;
      ++tasks;
      pending += task.phase == core::TaskPhase::kPending ? 1 : 0;
    }
    const std::lock_guard lock(mutex_);
    stats_.synced = true;
    stats_.cycles = control_->cycles();
    stats_.binds = writer_->binds();
    stats_.evictions = writer_->evictions();
    stats_.write_failures = writer_->failures();
    stats_.decision_seconds += took.to_seconds();
    stats_.pending_tasks = pending;
    stats_.waiting_gangs = plan.waiting.size();
    stats_.tasks = tasks;
    stats_.nodes = state.alive_nodes();
  }

  Json devices_of(const core::PlaceSpec& place) const {
    const core::State& state = control_->state();
    JsonArray list;
    const auto resolved = state.resolve(place);
    if (!resolved) return JsonObject{};
    const core::DeviceRequest& request = state.shape_of(resolved->task).devices;
    const core::Node& node = state.node(resolved->node);
    core::for_each_device(resolved->devices, [&](size_t i) {
      const core::DeviceShare share = core::share_on(request, node.devices[i]);
      list.push_back(JsonObject{{"id", state.names().text(node.devices[i].id)},
                                {"milli", share.milli},
                                {"memoryBytes", share.memory_bytes}});
    });
    return JsonObject{{state.names().text(request.resource), std::move(list)}};
  }

  void log(bool warning, std::string_view text) const {
    if (options_.log) options_.log(warning, text);
  }

  SchedulerOptions options_;
  std::unique_ptr<control::JournalFiles> journal_;
  LateExecutor executor_;
  std::unique_ptr<control::Control> control_;
  platform::LoopThread thread_;
  platform::EventLoop& loop_ = thread_.loop();
  std::unique_ptr<StatusWriter> status_;
  std::unique_ptr<PlanWriter> writer_;
  std::unique_ptr<ClusterView> view_;
  platform::EventLoop::TimerId cycle_timer_ = 0;
  platform::EventLoop::TimerId wake_timer_ = 0;
  platform::EventLoop::TimerId queue_timer_ = 0;
  bool queues_changed_ = false;

  mutable std::mutex mutex_;
  SchedulerStats stats_;  // by mutex_
};

Scheduler::Scheduler(std::unique_ptr<Body> body) : body_(std::move(body)) {}
Scheduler::~Scheduler() {
  stop();
}

Result<std::unique_ptr<Scheduler>> Scheduler::start(SchedulerOptions options) {
  std::unique_ptr<control::JournalFiles> journal;
  if (!options.journal_dir.empty()) {
    const auto log = options.log;
    BERTH_TRY(journal, control::JournalFiles::open(options.journal_dir, options.journal_segments,
                                                   [log](const Error& error) {
                                                     if (log)
                                                       log(true, "scheduler: " + error.to_string());
                                                   }));
  }
  auto body = std::make_unique<Body>(std::move(options), std::move(journal));
  BERTH_CHECK(body->prepare());
  body->run_thread();
  return std::unique_ptr<Scheduler>(new Scheduler(std::move(body)));
}

void Scheduler::explain_pod(std::string ns, std::string name,
                            std::function<void(Result<Json>)> done) {
  auto answer = std::make_shared<std::function<void(Result<Json>)>>(std::move(done));
  Body* body = body_.get();
  if (!body->thread().post([body, answer, ns, name] { (*answer)(body->explain(ns, name)); }))
    (*answer)(fail(ErrorCode::kUnavailable, "the scheduler has stopped"));
}

void Scheduler::add_usage(std::vector<core::NodeSample> samples) {
  Body* body = body_.get();
  body->thread().post([body, samples = std::move(samples)]() mutable {
    body->add(core::UsageWindow{std::move(samples)});
  });
}

Result<> Scheduler::configure(SchedulerConfiguration configuration) {
  auto promise = std::make_shared<std::promise<Result<>>>();
  std::future<Result<>> answer = promise->get_future();
  Body* body = body_.get();
  if (!body->thread().post(
          [body, promise, configuration] { promise->set_value(body->configure(configuration)); }))
    return fail(ErrorCode::kUnavailable, "the scheduler has stopped");
  return answer.get();
}

SchedulerStats Scheduler::stats() const {
  return body_->stats();
}
void Scheduler::stop() {
  body_->thread().stop();
}

}  // namespace berth::bridge
