#include "controllers/runner.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

#include "client/informer.h"
#include "controllers/controller.h"
#include "controllers/event_recorder.h"
#include "controllers/executor.h"
#include "controllers/expectations.h"
#include "controllers/scaling/autoscaler.h"
#include "controllers/scaling/scaling.h"
#include "controllers/scaling/vertical/sizing.h"
#include "controllers/scaling/vertical/sizing_spec.h"
#include "platform/event_loop.h"

namespace berth::controllers {
namespace {

constexpr Duration kConflictRetry = Duration::milliseconds(20);
constexpr Duration kFirstRetry = Duration::milliseconds(200);
constexpr Duration kLastRetry = Duration::minutes(1);
constexpr Duration kAfterWindow = Duration::milliseconds(300);
/// After this long without seeing its own writes, a controller looks anyway.
constexpr Duration kCatchUp = Duration::seconds(5);

/// One object under the care of one controller.
struct Item {
  const Controller* controller = nullptr;
  Key key;
  bool queued = false;
  bool writing = false;
  bool changed_meanwhile = false;
  int failures = 0;
  std::vector<Expected> expected;
  platform::EventLoop::TimerId timer = 0;
  std::optional<Time> timer_at;
  platform::EventLoop::TimerId catch_up_timer = 0;
};

/// Everything that lives on the loop.
class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(RunnerOptions options, std::shared_ptr<platform::EventLoop> loop, std::atomic<bool>& synced)
      : client_(options.client),
        clock_(options.clock),
        loop_(std::move(loop)),
        recorder_(options.client),
        synced_(synced) {
    view_.set_model_reader(std::move(options.read_model));
    view_.set_prices(std::move(options.prices));
  }

  void begin() {
    unsynced_ = all_kinds().size();
    for (const KindRow& kind : all_kinds()) watch(kind);
    for (auto& informer : informers_) informer->start();
    schedule_scaling();
  }

  void add_demand(const std::vector<documents::DemandReport>& reports) {
    if (autoscaler_.on_reports(reports, clock_.now())) decide_scaling();
  }

  void add_use(const std::vector<PodUse>& pods) {
    view_.add_use(pods);
    if (unsynced_ > 0) return;
    for (const ObjectPtr& deployment : view_.list(Kind::kDeployment)) {
      if (!read_sizing(*deployment)) continue;
      // What was refused waits for its turn to be tried again.
      if (Item& sized = item(&kSizing, deployment->key); sized.failures == 0) enqueue(sized);
    }
  }

  void set_prices(core::PriceList prices) { view_.set_prices(std::move(prices)); }

  void end() { informers_.clear(); }

 private:
  /// Shortly after each second's end, when gateways have told of it.
  void schedule_scaling() {
    const int64_t since_ns = (clock_.now() - Time{}).ns % Duration::seconds(1).ns;
    Duration delay = kAfterWindow - Duration{since_ns};
    if (delay.ns <= 0) delay = delay + Duration::seconds(1);
    loop_->after(delay, in_core([](Core& core) {
                   core.decide_scaling();
                   core.schedule_scaling();
                 }));
  }

  void decide_scaling() {
    if (unsynced_ > 0) return;
    for (auto& [key, verdict] : autoscaler_.decide(view_, clock_.now())) {
      view_.set_verdict(key, std::move(verdict));
      enqueue(item(&kScaling, key));
    }
  }

  using ItemId = std::pair<const Controller*, Key>;

  void watch(const KindRow& kind) {
    client::Informer::Options options;
    options.collection.resource = kind.resource;
    client::Informer::Handlers handlers;
    handlers.added = [this, &kind](const SharedJson& json) { on_put(kind.kind, json); };
    handlers.updated = [this, &kind](const SharedJson&, const SharedJson& json) {
      on_put(kind.kind, json);
    };
    handlers.deleted = [this, &kind](const SharedJson& json) { on_gone(kind.kind, json); };
    auto counted = std::make_shared<bool>(false);
    handlers.synced = [this, counted] { on_synced(*counted); };
    handlers.failed = [this, &kind, counted](const Error& error) {
      // A server without this kind has no objects of it.
      if (error.code == ErrorCode::kNotFound) return on_synced(*counted);
      spdlog::warn("controllers: cannot watch {}: {}", kind.resource.plural, error.to_string());
    };
    informers_.push_back(std::make_unique<client::Informer>(client_, *loop_, std::move(options),
                                                            std::move(handlers)));
  }

  void on_synced(bool& counted) {
    if (std::exchange(counted, true) || --unsynced_ > 0) return;
    view_.set_began(clock_.now());
    for (const KindRow& kind : all_kinds()) {
      for (const ObjectPtr& object : view_.list(kind.kind)) ask_who_cares(*object);
    }
    synced_ = true;
  }

  void on_put(Kind kind, const SharedJson& json) {
    Result<Object> read = Object::read(kind, json);
    if (!read) return;
    auto object = std::make_shared<const Object>(std::move(*read));
    expectations_.saw(*object);
    const ObjectPtr before = view_.put(object);
    if (before && before->uid != object->uid) expectations_.saw_gone(*before);
    on_change(*object);
    // Whoever it belonged to before must hear of it too.
    if (before && unsynced_ == 0) ask_who_cares(*before);
  }

  void on_gone(Kind kind, const SharedJson& json) {
    Result<Object> read = Object::read(kind, json);
    if (!read) return;
    const ObjectPtr last = view_.find(read->key);
    if (last && last->uid != read->uid) return;
    view_.remove(read->key, clock_.now());
    expectations_.saw_gone(*read);
    on_change(*read);
  }

  void on_change(const Object& object) {
    const auto [first, last] = waiting_.equal_range(object.uid);
    std::vector<ItemId> waiting;
    for (auto at = first; at != last; ++at) waiting.push_back(at->second);
    for (const ItemId& id : waiting) check_expected(items_.at(id));
    if (unsynced_ == 0) ask_who_cares(object);
  }

  void ask_who_cares(const Object& object) {
    std::vector<Key> keys;
    for (const Controller* controller : all_controllers()) {
      keys.clear();
      controller->affected(view_, object, keys);
      for (const Key& key : keys) enqueue(item(controller, key));
    }
  }

  Item& item(const Controller* controller, const Key& key) {
    Item& found = items_[{controller, key}];
    found.controller = controller;
    found.key = key;
    return found;
  }

  void enqueue(Item& item) {
    if (item.queued) return;
    if (item.writing || !item.expected.empty()) {
      item.changed_meanwhile = true;
      return;
    }
    item.queued = true;
    queue_.push_back({item.controller, item.key});
    if (queue_.size() == 1) post([](Core& core) { core.drain(); });
  }

  void drain() {
    // Only what is there now: work that this makes waits for its turn after newer events.
    for (size_t left = queue_.size(); left > 0; --left) {
      const ItemId id = queue_.front();
      queue_.pop_front();
      Item& next = items_.at(id);
      next.queued = false;
      reconcile(next);
    }
    if (!queue_.empty()) post([](Core& core) { core.drain(); });
  }

  void reconcile(Item& item) {
    loop_->cancel(item.timer);
    item.timer_at.reset();
    Outcome outcome = item.controller->reconcile(view_, item.key, clock_.now());
    for (const Note& note : outcome.notes) recorder_.record(note, clock_.now());
    if (outcome.again_at) look_again(item, *outcome.again_at);
    if (outcome.writes.empty()) {
      item.failures = 0;
      if (!outcome.again_at && view_.find(item.key) == nullptr) forget(item);
      return;
    }
    item.writing = true;
    carry_out(
        client_, loop_, std::move(outcome.writes),
        [weak = weak_from_this(), id = ItemId{item.controller, item.key}](RoundResult result) {
          if (const auto core = weak.lock()) core->on_written(core->items_.at(id), result);
        });
  }

  void on_written(Item& item, const RoundResult& result) {
    item.writing = false;
    for (const Note& note : result.notes) recorder_.record(note, clock_.now());
    for (const Expected& expected : result.expected) {
      if (expectations_.is_met(view_, expected)) continue;
      item.expected.push_back(expected);
      waiting_.emplace(expected.uid, ItemId{item.controller, item.key});
    }
    if (!result.failure.empty()) {
      ++item.failures;
      spdlog::warn("controllers: {}: {}: {}", item.controller->name, to_string(item.key),
                   result.failure);
      // Told to the controller once: the text of a refusal may differ each time (it names the new
      // object), and a status that follows it would call for the next try at once.
      if (view_.failure(item.key).empty()) {
        view_.set_failure(item.key, result.failure);
        item.changed_meanwhile = true;
      }
      const Duration delay = kFirstRetry * (int64_t{1} << std::min(item.failures - 1, 9));
      look_again(item, clock_.now() + std::min(delay, kLastRetry));
    } else if (result.conflicted) {
      look_again(item, clock_.now() + kConflictRetry);
    } else {
      item.failures = 0;
      if (result.created_any) view_.clear_failure(item.key);
    }
    if (item.expected.empty()) {
      caught_up(item);
    } else {
      item.catch_up_timer =
          loop_->after(kCatchUp, in_core([id = ItemId{item.controller, item.key}](Core& core) {
                         core.give_up_waiting(id);
                       }));
    }
  }

  void check_expected(Item& item) {
    if (item.expected.empty()) return;
    std::erase_if(item.expected, [&](const Expected& expected) {
      if (!expectations_.is_met(view_, expected)) return false;
      stop_waiting(item, expected.uid);
      return true;
    });
    if (item.expected.empty()) caught_up(item);
  }

  void stop_waiting(const Item& item, const std::string& uid) {
    const auto [first, last] = waiting_.equal_range(uid);
    for (auto at = first; at != last; ++at) {
      if (at->second == ItemId{item.controller, item.key}) {
        waiting_.erase(at);
        return;
      }
    }
  }

  void give_up_waiting(const ItemId& id) {
    const auto at = items_.find(id);
    if (at == items_.end() || at->second.expected.empty()) return;
    Item& item = at->second;
    spdlog::warn("controllers: {}: {}: own writes not seen for {} s, looking anyway",
                 item.controller->name, to_string(item.key), kCatchUp.ns / 1'000'000'000);
    for (const Expected& expected : item.expected) stop_waiting(item, expected.uid);
    item.expected.clear();
    item.changed_meanwhile = true;
    caught_up(item);
  }

  void caught_up(Item& item) {
    loop_->cancel(item.catch_up_timer);
    if (std::exchange(item.changed_meanwhile, false)) enqueue(item);
  }

  void look_again(Item& item, Time at) {
    if (item.timer_at && *item.timer_at <= at) return;
    loop_->cancel(item.timer);
    item.timer_at = at;
    const Duration delay = std::max(Duration{}, at - clock_.now());
    item.timer = loop_->after(delay, in_core([id = ItemId{item.controller, item.key}](Core& core) {
                                const auto found = core.items_.find(id);
                                if (found == core.items_.end()) return;
                                found->second.timer_at.reset();
                                core.enqueue(found->second);
                              }));
  }

  void forget(Item& item) {
    if (item.queued || item.writing || !item.expected.empty() || item.timer_at) return;
    view_.clear_failure(item.key);
    items_.erase({item.controller, item.key});
  }

  /// Work for the loop that does nothing once this is gone.
  template <class Work>
  platform::EventLoop::Work in_core(Work work) {
    return [weak = weak_from_this(), work = std::move(work)] {
      if (const auto core = weak.lock()) work(*core);
    };
  }
  template <class Work>
  void post(Work work) {
    loop_->post(in_core(std::move(work)));
  }

  client::ApiClient& client_;
  const Clock& clock_;
  const std::shared_ptr<platform::EventLoop> loop_;
  View view_;
  Expectations expectations_;
  EventRecorder recorder_;
  Autoscaler autoscaler_;
  std::atomic<bool>& synced_;
  size_t unsynced_ = 0;
  std::vector<std::unique_ptr<client::Informer>> informers_;
  std::map<ItemId, Item> items_;
  std::deque<ItemId> queue_;
  std::unordered_multimap<std::string, ItemId> waiting_;
};

class RunnerThread final : public Runner {
 public:
  explicit RunnerThread(const RunnerOptions& options)
      : loop_(std::make_shared<platform::EventLoop>()),
        core_(std::make_shared<Core>(options, loop_, synced_)) {
    loop_->post([this] { core_->begin(); });
    thread_ = std::thread([loop = loop_] { loop->run(); });
  }

  ~RunnerThread() override {
    // The informers go on the thread that made them; what they post after that finds nobody.
    loop_->post([this] {
      core_->end();
      core_.reset();
    });
    loop_->stop();
    thread_.join();
    loop_->close();  // answers that come later hold the loop
  }

  void add_demand(std::vector<documents::DemandReport> reports) override {
    loop_->post([this, reports = std::move(reports)] {
      if (core_) core_->add_demand(reports);
    });
  }

  void add_use(std::vector<PodUse> pods) override {
    loop_->post([this, pods = std::move(pods)] {
      if (core_) core_->add_use(pods);
    });
  }

  void set_prices(core::PriceList prices) override {
    loop_->post([this, prices = std::move(prices)]() mutable {
      if (core_) core_->set_prices(std::move(prices));
    });
  }

  bool synced() const override { return synced_; }

 private:
  std::atomic<bool> synced_ = false;
  std::shared_ptr<platform::EventLoop> loop_;
  std::shared_ptr<Core> core_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Runner>> Runner::start(RunnerOptions options) {
  return std::make_unique<RunnerThread>(options);
}

}  // namespace berth::controllers
