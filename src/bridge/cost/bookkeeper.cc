#include "bridge/cost/bookkeeper.h"

#include <future>
#include <set>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "bridge/api_calls.h"
#include "bridge/cost/books.h"
#include "bridge/cost/resumed_watch.h"
#include "bridge/pod_task.h"
#include "client/event.h"
#include "client/informer.h"
#include "core/cost/focus.h"
#include "platform/loop_thread.h"

namespace berth::bridge {
namespace {

using objects::find_array;
using objects::find_int;
using objects::find_string;

/// Changes that come together are kept together.
constexpr Duration kKeepPause = Duration::milliseconds(100);
constexpr Duration kPauseAfterFailure = Duration::seconds(1);
constexpr Duration kJudgePause = Duration::seconds(10);
constexpr Duration kShortestJudgePause = Duration::milliseconds(100);
constexpr std::string_view kModelLabel = "berth.dev/model-service";
constexpr std::string_view kTokensLabel = "berth.dev/gateway-tokens";
const client::Resource kModelServices{"berth.dev", "v1alpha1", "modelservices"};
const client::Resource kConfigMaps{"", "v1", "configmaps"};

enum Kind : size_t { kNode, kNamespace, kQueue, kPodGroup, kModelService, kTokens, kKinds };

std::string state_of(const core::BudgetDecision& decision) {
  return decision.preempt ? "Preempting"
         : decision.block ? "Blocked"
         : decision.alert ? "Alert"
                          : "Within";
}

}  // namespace

class Bookkeeper::Body {
 public:
  Body(BookkeeperOptions options, Books books)
      : options_(std::move(options)), books_(std::move(books)) {}

  void run_thread() {
    thread_.start([this] { begin(); },
                  [this] {
                    pods_.reset();
                    informers_.clear();
                    keep();
                  });
  }

  platform::LoopThread& thread() { return thread_; }

  Result<> set_prices(const core::PriceList& prices, const std::string& currency) {
    BERTH_CHECK(books_.set_prices(prices, currency, options_.clock.now()));
    keep();
    judge();
    return {};
  }

  Books& books() {
    keep();
    return books_;
  }

 private:
  void begin() {
    follow(kNode, kNodes, {}, false);
    follow(kNamespace, kNamespaces, {}, false);
    follow(kQueue, kQueues, {}, true);
    follow(kPodGroup, kPodGroups, {}, true);
    follow(kModelService, kModelServices, {}, true);
    follow(kTokens, kConfigMaps, std::string(kTokensLabel), false);
    for (const auto& informer : informers_) informer->start();
  }

  void follow(Kind kind, const client::Resource& resource, std::string labels, bool optional) {
    unseen_.insert(kind);
    client::Informer::Handlers handlers;
    handlers.added = [this, kind](const SharedJson& object) { on_change(kind, *object, false); };
    handlers.updated = [this, kind](const SharedJson&, const SharedJson& object) {
      on_change(kind, *object, false);
    };
    handlers.deleted = [this, kind](const SharedJson& object) { on_change(kind, *object, true); };
    handlers.synced = [this, kind] { seen(kind); };
    handlers.failed = [this, kind, optional, plural = resource.plural](const Error& error) {
      if (optional && error.code == ErrorCode::kNotFound) return seen(kind);
      log(true, fmt::format("cannot watch {}: {}", plural, error.to_string()));
    };
    informers_.push_back(std::make_unique<client::Informer>(
        options_.client, loop_,
        client::Informer::Options{.collection = {resource, "", "", ""},
                                  .label_selector = std::move(labels),
                                  .field_selector = {}},
        std::move(handlers)));
  }

  /// Pods come last: whose they are is what the others say.
  void seen(Kind kind) {
    if (unseen_.erase(kind) == 0 || !unseen_.empty()) return;
    follow_pods();
    judge();
  }

  void follow_pods() {
    for (const auto& [key, node] : informers_[kNode]->objects())
      books_.on_node(*node, options_.clock.now());
    auto cursor = books_.cursor();
    if (!cursor) log(true, cursor.error().to_string());
    pods_ = std::make_unique<ResumedWatch>(
        options_.client, loop_, kPods,
        ResumedWatch::Handlers{
            .listed = [this](const client::List& all) { on_pods(all); },
            .changed = [this](const SharedJson& pod, bool gone) { on_pod(*pod, gone); },
            .failed = [this](const Error& error) { log(true, error.to_string()); }});
    pods_->start(cursor.value_or(""));
  }

  void on_change(Kind kind, const Json& object, bool gone) {
    const Time now = options_.clock.now();
    switch (kind) {
      case kNode:
        gone ? books_.on_node_gone(object, now) : books_.on_node(object, now);
        return keep_soon();
      case kQueue:
        if (gone) return books_.budgets().remove_queue(std::string(name_of(object)));
        if (books_.budgets().set_queue(object)) judge();
        return;
      case kTokens:
        if (!gone) on_tokens(object);
        return keep_soon();
      default:
        return;
    }
  }

  static std::string_view name_of(const Json& object) {
    return find_string(object, {"metadata", "name"});
  }

  void on_pods(const client::List& all) {
    std::set<std::string, std::less<>> uids;
    for (const SharedJson& pod : all.items) {
      on_pod(*pod, false);
      uids.emplace(find_string(*pod, {"metadata", "uid"}));
    }
    books_.on_all_pods([&](const std::string& uid) { return uids.contains(uid); },
                       options_.clock.now());
    keep_soon();
  }

  void on_pod(const Json& pod, bool gone) {
    const SharedJson node = informers_[kNode]->find("", find_string(pod, {"spec", "nodeName"}));
    const Json none;
    const Time now = options_.clock.now();
    if (gone)
      books_.on_pod_gone(pod, node ? *node : none, owner_of(pod), now);
    else
      books_.on_pod(pod, node ? *node : none, owner_of(pod), now);
    keep_soon();
  }

  core::CostOwner owner_of(const Json& pod) const {
    core::CostOwner owner;
    owner.tenant = find_string(pod, {"metadata", "namespace"});
    owner.queue = queue_of(pod, owner.tenant);
    if (const auto service = find_string(pod, {"metadata", "labels", kModelLabel});
        !service.empty()) {
      const SharedJson json = informers_[kModelService]->find(owner.tenant, service);
      owner.model = json ? find_string(*json, {"spec", "model", "name"}, service) : service;
    }
    owner.job = name_of(pod);
    for (const Json& reference : find_array(pod, {"metadata", "ownerReferences"}))
      if (objects::find_bool(reference, {"controller"}))
        owner.job = find_string(reference, {"name"});
    return owner;
  }

  std::string queue_of(const Json& pod, const std::string& ns) const {
    if (const auto queue = queue_label(pod); !queue.empty()) return std::string(queue);
    if (const SharedJson group = informers_[kPodGroup]->find(ns, pod_group_of(pod)))
      if (const auto queue = queue_label(*group); !queue.empty()) return std::string(queue);
    if (const SharedJson json = informers_[kNamespace]->find("", ns))
      if (const auto queue = queue_label(*json); !queue.empty()) return std::string(queue);
    return informers_[kQueue]->find("", ns) ? ns : "default";
  }

  void on_tokens(const Json& map) {
    boost::system::error_code error;
    const Json said = boost::json::parse(find_string(map, {"data", "tokens"}), error);
    if (error || !said.is_array()) return;
    const Time at = parse_time(find_string(map, {"data", "asOf"})).value_or(options_.clock.now());
    for (const Json& row : said.get_array())
      books_.on_tokens(std::string(find_string(map, {"metadata", "uid"})),
                       std::string(find_string(row, {"tenant"})),
                       std::string(find_string(row, {"model"})),
                       {find_int(row, {"input"}), find_int(row, {"output"})}, at);
  }

  void keep_soon() {
    if (keep_timer_ != 0) return;
    keep_timer_ = loop_.after(kKeepPause, [this] {
      keep_timer_ = 0;
      keep();
    });
  }

  void keep() {
    if (!books_.changed()) return;
    auto cursor = pods_ ? Result<std::string>(pods_->cursor()) : books_.cursor();
    const auto kept = books_.keep(cursor.value_or(""));
    if (kept) return;
    log(true, fmt::format("the ledger was not written: {}", kept.error().to_string()));
    // What was read since is read again, from where the file has it.
    if (!pods_) return;
    pods_.reset();
    loop_.after(kPauseAfterFailure, [this] { follow_pods(); });
  }

  void judge() {
    if (judge_timer_ != 0) loop_.cancel(std::exchange(judge_timer_, 0));
    if (!unseen_.empty() || !books_.budgets().any()) return;
    const Time now = options_.clock.now();
    Duration pause = kJudgePause;
    for (const Budgets::Judgement& judgement : books_.judge(now)) {
      tell(judgement, now);
      const Time next = std::min(judgement.decision.spent_by.value_or(judgement.period.end),
                                 judgement.period.end);
      if (next > now) pause = std::min(pause, next - now);
    }
    judge_timer_ = loop_.after(std::max(pause, kShortestJudgePause), [this] {
      judge_timer_ = 0;
      judge();
    });
  }

  /// In the Queue's status, which the scheduler reads, and as an Event where it got worse.
  void tell(const Budgets::Judgement& judgement, Time now) {
    const SharedJson queue = informers_[kQueue]->find("", judgement.queue);
    if (!queue) return;
    const std::string before(find_string(*queue, {"status", "budget", "state"}, "Within"));
    const std::string state = state_of(judgement.decision);
    JsonObject budget{{"state", state},
                      {"spent", core::format_money(judgement.spent)},
                      {"amount", describe(judgement.budget, books_.currency())},
                      {"periodStart", format_time(judgement.period.start)},
                      {"periodEnd", format_time(judgement.period.end)}};
    const auto& by = judgement.decision.spent_by;
    budget["spentBy"] = by && *by > now ? Json(format_time(*by)) : Json(nullptr);
    if (const std::string text = boost::json::serialize(budget); told_[judgement.queue] != text) {
      told_[judgement.queue] = text;
      options_.client.patch({kQueues, "", judgement.queue, "status"}, client::PatchType::kMerge,
                            JsonObject{{"status", JsonObject{{"budget", std::move(budget)}}}}, {},
                            &ToLoop::ignore);
    }
    if (state != before && state != "Within") record(*queue, judgement, state, now);
  }

  void record(const Json& queue, const Budgets::Judgement& judgement, const std::string& state,
              Time now) {
    const std::string message = fmt::format(
        "queue {} has spent {} of {}{}", judgement.queue, core::format_money(judgement.spent),
        describe(judgement.budget, books_.currency()),
        state == "Preempting" ? fmt::format("; what runs is stopped, and nothing starts before {}",
                                            format_time(judgement.period.end))
        : state == "Blocked"
            ? fmt::format("; nothing starts before {}", format_time(judgement.period.end))
        : judgement.decision.spent_by && *judgement.decision.spent_by > now
            ? fmt::format("; at this rate it is spent by {}",
                          format_time(*judgement.decision.spent_by))
            : std::string());
    log(true, message);
    const std::string name =
        fmt::format("{}.{:016x}", judgement.queue, static_cast<uint64_t>(now.ns));
    JsonObject about{{"apiVersion", "berth.dev/v1alpha1"},
                     {"kind", "Queue"},
                     {"name", judgement.queue},
                     {"uid", find_string(queue, {"metadata", "uid"})}};
    options_.client.create(
        {kEvents, "default", name, ""},
        client::event_object("default", name, std::move(about),
                             {"berth-bookkeeper", "", true, "Budget" + state, message}, now),
        {}, &ToLoop::ignore);
  }

  void log(bool warning, const std::string& text) const {
    if (options_.log) options_.log(warning, "bookkeeper: " + text);
  }

  BookkeeperOptions options_;
  Books books_;
  platform::LoopThread thread_;
  platform::EventLoop& loop_ = thread_.loop();
  std::vector<std::unique_ptr<client::Informer>> informers_;  ///< by Kind
  std::set<Kind> unseen_;
  std::unique_ptr<ResumedWatch> pods_;
  std::map<std::string, std::string> told_;  ///< budgets in status, by queue
  platform::EventLoop::TimerId keep_timer_ = 0;
  platform::EventLoop::TimerId judge_timer_ = 0;
};

Bookkeeper::Bookkeeper(std::unique_ptr<Body> body) : body_(std::move(body)) {}
Bookkeeper::~Bookkeeper() {
  stop();
}

Result<std::unique_ptr<Bookkeeper>> Bookkeeper::start(BookkeeperOptions options) {
  BERTH_TRY(Books books, Books::open(options.file));
  BERTH_CHECK(books.set_prices(options.prices, options.currency, options.clock.now()));
  auto body = std::make_unique<Body>(std::move(options), std::move(books));
  body->run_thread();
  return std::unique_ptr<Bookkeeper>(new Bookkeeper(std::move(body)));
}

Result<> Bookkeeper::set_prices(core::PriceList prices, std::string currency) {
  auto promise = std::make_shared<std::promise<Result<>>>();
  std::future<Result<>> answer = promise->get_future();
  Body* body = body_.get();
  if (!body->thread().post(
          [body, promise, prices = std::move(prices), currency = std::move(currency)] {
            promise->set_value(body->set_prices(prices, currency));
          }))
    return fail(ErrorCode::kUnavailable, "the bookkeeper has stopped");
  return answer.get();
}

void Bookkeeper::report(core::CostDimension by, Time from, Time to,
                        std::function<void(Result<Json>)> done) {
  auto answer = std::make_shared<std::function<void(Result<Json>)>>(std::move(done));
  Body* body = body_.get();
  if (!body->thread().post([=] { (*answer)(body->books().report(by, from, to)); }))
    (*answer)(fail(ErrorCode::kUnavailable, "the bookkeeper has stopped"));
}

void Bookkeeper::focus(Time from, Time to, std::function<void(Result<std::string>)> done) {
  auto answer = std::make_shared<std::function<void(Result<std::string>)>>(std::move(done));
  Body* body = body_.get();
  if (!body->thread().post([=] { (*answer)(body->books().focus(from, to)); }))
    (*answer)(fail(ErrorCode::kUnavailable, "the bookkeeper has stopped"));
}

void Bookkeeper::stop() {
  body_->thread().stop();
}

}  // namespace berth::bridge
