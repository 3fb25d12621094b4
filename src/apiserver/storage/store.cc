#include "apiserver/storage/store.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "objects/json_text.h"

namespace berth::apiserver {
namespace {

constexpr size_t kMaxBatch = 256;
constexpr size_t kForgetPerBatch = 1024;

size_t cost_of(const Change& change) {
  return change.object->bytes().size() + sizeof(Change) + sizeof(Stored);
}

void set_resource_version(Json& object, Revision revision) {
  objects::ensure_object(object, {"metadata"})["resourceVersion"] = std::to_string(revision);
}

std::pair<StoredPtr, SharedJson> seal(Json object, Revision revision) {
  set_resource_version(object, revision);
  std::string bytes = objects::canonical_json(object);
  SharedJson tree = std::make_shared<const Json>(std::move(object));
  return {std::make_shared<const Stored>(std::move(bytes), revision, tree), tree};
}

}  // namespace

struct Store::Subscriber {
  client::Gate gate;
  std::string ns;
  Listener listener;

  bool wants(const Change& change) const { return ns.empty() || change.key.ns == ns; }
  void tell(const ChangePtr& change) {
    gate.pass([&] { listener.on_change(change); });
  }
};

// --- Transaction ---

StoredPtr Transaction::get(const StoreKey& key) const {
  for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
    if (change->first->key != key) continue;
    return change->first->type == Change::Type::kDeleted ? nullptr : change->first->object;
  }
  return store_.latest(key);
}

void Transaction::for_each(
    std::string_view resource, std::string_view ns,
    const std::function<bool(const StoreKey&, const StoredPtr&)>& visit) const {
  std::map<StoreKey, StoredPtr> changed;
  const auto wanted = [&](const StoreKey& key) {
    return key.resource == resource && (ns.empty() || key.ns == ns);
  };
  for (const auto& [key, object] : store_.pending_) {
    if (wanted(key)) changed[key] = object;
  }
  for (const auto& [change, unused] : changes_) {
    if (!wanted(change->key)) continue;
    changed[change->key] = change->type == Change::Type::kDeleted ? nullptr : change->object;
  }
  if (const auto table = store_.tables_.find(resource); table != store_.tables_.end()) {
    const auto& stored = table->second;
    for (auto at = ns.empty() ? stored.begin() : stored.lower_bound({std::string(ns), {}});
         at != stored.end() && (ns.empty() || at->first.first == ns); ++at) {
      StoreKey key{std::string(resource), at->first.first, at->first.second};
      if (changed.contains(key)) continue;
      if (!visit(key, at->second)) return;
    }
  }
  for (const auto& [key, object] : changed) {
    if (object && !visit(key, object)) return;
  }
}

SharedJson Transaction::put(const StoreKey& key, Json object) {
  StoredPtr before = get(key);
  auto [stored, tree] = seal(std::move(object), ++revision_);
  const auto type = before ? Change::Type::kModified : Change::Type::kAdded;
  changes_.emplace_back(
      std::make_shared<const Change>(Change{type, key, std::move(stored), std::move(before)}),
      tree);
  return tree;
}

SharedJson Transaction::remove(const StoreKey& key, Json last) {
  StoredPtr before = get(key);
  auto [stored, tree] = seal(std::move(last), ++revision_);
  changes_.emplace_back(std::make_shared<const Change>(Change{
                            Change::Type::kDeleted, key, std::move(stored), std::move(before)}),
                        tree);
  return tree;
}

// --- opening ---

Store::Store(LogFile log, Limits limits) : limits_(limits), log_(std::move(log)) {}

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& file, Limits limits) {
  BERTH_TRY(LogFile log, LogFile::open(file));
  std::unique_ptr<Store> store(new Store(std::move(log), limits));
  BERTH_CHECK(store->load());
  store->writer_ = std::thread([&store = *store] { store.run_writer(); });
  store->dispatcher_ = std::thread([&store = *store] { store.events_.run(); });
  return store;
}

Result<> Store::load() {
  horizon_ = log_.horizon();
  last_revision_ = visible_ = std::max(log_.revision(), horizon_);
  BERTH_CHECK(log_.load([this](LogFile::Row row) {
    Table& objects = tables_[row.key.resource];
    const Name name{row.key.ns, row.key.name};
    auto stored = std::make_shared<const Stored>(std::move(row.value), row.revision);
    StoredPtr before;
    if (const auto found = objects.find(name); found != objects.end()) before = found->second;
    if (row.type == Change::Type::kDeleted) {
      objects.erase(name);
    } else {
      objects[name] = stored;
    }
    if (row.revision > horizon_) {
      remember(std::make_shared<const Change>(
          Change{row.type, std::move(row.key), std::move(stored), std::move(before)}));
    } else {
      // A crash came between moving the horizon and forgetting what it had passed.
      if (before) to_forget_.push_back(before->revision());
      if (row.type == Change::Type::kDeleted) to_forget_.push_back(row.revision);
    }
  }));
  trim_history();
  return {};
}

// --- reading ---

StoredPtr Store::find_locked(const StoreKey& key) const {
  const auto table = tables_.find(key.resource);
  if (table == tables_.end()) return nullptr;
  const auto found = table->second.find({key.ns, key.name});
  return found == table->second.end() ? nullptr : found->second;
}

StoredPtr Store::get(const StoreKey& key) const {
  const std::shared_lock lock(mutex_);
  return find_locked(key);
}

Revision Store::revision() const {
  const std::shared_lock lock(mutex_);
  return visible_;
}

std::string Store::write_trouble() const {
  const std::shared_lock lock(mutex_);
  return write_trouble_;
}

Result<Store::Snapshot> Store::list(const ListQuery& query) const {
  Snapshot snapshot;
  std::map<Name, StoredPtr> merged;  // where a past state was asked for
  std::vector<Item> items;
  {
    const std::shared_lock lock(mutex_);
    snapshot.revision = query.revision == 0 ? visible_ : query.revision;
    if (query.revision != 0 && query.revision < horizon_) {
      return fail(ErrorCode::kGone, "the continue token is too old", {}, "list from the start");
    }
    if (query.revision > visible_) {
      return fail(ErrorCode::kInvalid,
                  fmt::format("resource version {} is in the future", query.revision));
    }
    std::map<Name, StoredPtr> past;
    if (query.revision != 0) {
      for (auto at = history_.rbegin(); at != history_.rend() && (*at)->revision() > query.revision;
           ++at) {
        const StoreKey& key = (*at)->key;
        if (key.resource != query.resource || (!query.ns.empty() && key.ns != query.ns)) continue;
        past[{key.ns, key.name}] = (*at)->before;
      }
    }
    Name from = query.after;
    if (!query.ns.empty() && from.first.empty()) from.first = query.ns;
    if (const auto table = tables_.find(query.resource); table != tables_.end()) {
      const Table& stored = table->second;
      auto at = query.after == Name() ? stored.lower_bound(from) : stored.upper_bound(from);
      for (; at != stored.end() && (query.ns.empty() || at->first.first == query.ns); ++at) {
        if (!past.empty() && past.contains(at->first)) continue;
        items.push_back({{query.resource, at->first.first, at->first.second}, at->second});
      }
    }
    if (!past.empty()) {
      for (const auto& [name, object] : past) {
        if (object && name > query.after) {
          items.push_back({{query.resource, name.first, name.second}, object});
        }
      }
      std::ranges::sort(items, {}, &Item::key);
    }
  }
  for (size_t i = 0; i < items.size(); ++i) {
    if (query.accept && !query.accept(items[i].object)) continue;
    if (query.limit != 0 && snapshot.items.size() == query.limit) {
      snapshot.more = true;
      snapshot.remaining = items.size() - i;
      break;
    }
    snapshot.items.push_back(std::move(items[i]));
  }
  return snapshot;
}

// --- writing ---

void Store::write(Work work, std::function<void(Result<>)> done) {
  {
    const std::lock_guard lock(queue_mutex_);
    if (!stopping_) {
      queue_.push_back({std::move(work), std::move(done)});
      queue_changed_.notify_one();
      return;
    }
  }
  done(fail(ErrorCode::kUnavailable, "the server is stopping"));
}

void Store::run_writer() {
  for (;;) {
    std::vector<Request> batch;
    {
      std::unique_lock lock(queue_mutex_);
      queue_changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      const auto end = queue_.begin() + static_cast<ptrdiff_t>(std::min(kMaxBatch, queue_.size()));
      batch.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
      queue_.erase(queue_.begin(), end);
    }
    run_batch(std::move(batch));
  }
}

/// One batch, one fsync: 1. run the works one after the other, each seeing those before it; 2. keep
/// their changes durably; 3. show them; 4. tell who asked.
void Store::run_batch(std::vector<Request> batch) {
  std::vector<std::pair<ChangePtr, SharedJson>> changes;
  const Revision first = last_revision_;
  for (Request& request : batch) {
    Transaction transaction(*this, last_revision_);
    if (!request.work(transaction)) continue;
    last_revision_ = transaction.revision_;
    for (auto& change : transaction.changes_) {
      pending_[change.first->key] =
          change.first->type == Change::Type::kDeleted ? nullptr : change.first->object;
      changes.push_back(std::move(change));
    }
  }
  const Result<> kept = changes.empty() ? Result<>() : keep(changes);
  pending_.clear();
  if (kept) {
    publish(std::move(changes));
  } else {
    // Nobody saw these revisions, but a failed disk may hold them: they are not used again.
    if (!log_.must_reopen()) last_revision_ = first;
    const std::unique_lock lock(mutex_);
    if (write_trouble_.empty())
      spdlog::error("nothing can be written: {}", kept.error().to_string());
    write_trouble_ = kept.error().to_string();
  }
  events_.post([batch = std::move(batch), kept] {
    for (const Request& request : batch) request.done(kept);
  });
}

Result<> Store::keep(const std::vector<std::pair<ChangePtr, SharedJson>>& changes) {
  if (log_.must_reopen()) {
    const std::shared_lock lock(mutex_);
    return fail(ErrorCode::kUnavailable, "writes are off since the disk failed: " + write_trouble_);
  }
  const Result<> kept = [&]() -> Result<> {
    BERTH_CHECK(log_.begin());
    // Forgetting first leaves pages for what is added: a full disk can free itself.
    const size_t forget = std::min(to_forget_.size(), kForgetPerBatch);
    for (size_t i = 0; i < forget; ++i) BERTH_CHECK(log_.forget(to_forget_[i]));
    if (forget > 0) BERTH_CHECK(log_.set_horizon(horizon_, last_revision_));
    for (const auto& [change, unused] : changes) BERTH_CHECK(log_.append(*change));
    BERTH_CHECK(log_.commit());
    to_forget_.erase(to_forget_.begin(), to_forget_.begin() + static_cast<ptrdiff_t>(forget));
    return {};
  }();
  if (!kept) log_.roll_back();
  return kept;
}

void Store::publish(std::vector<std::pair<ChangePtr, SharedJson>> changes) {
  if (changes.empty()) return;
  std::vector<std::pair<std::shared_ptr<Subscriber>, ChangePtr>> deliveries;
  const std::unique_lock lock(mutex_);
  if (!write_trouble_.empty()) spdlog::info("writing works again");
  write_trouble_.clear();
  for (const auto& [change, unused] : changes) {
    Table& table = tables_[change->key.resource];
    const Name name{change->key.ns, change->key.name};
    if (change->type == Change::Type::kDeleted) {
      table.erase(name);
    } else {
      table[name] = change->object;
    }
    for (const auto& subscriber : subscribers_[change->key.resource]) {
      if (subscriber->wants(*change)) deliveries.emplace_back(subscriber, change);
    }
    remember(change);
  }
  visible_ = changes.back().first->revision();
  trim_history();
  if (deliveries.empty()) return;
  // Posted under the lock: the order of the loop is the order of the revisions. The trees are held
  // until all have seen them, so that they are not parsed again.
  events_.post([deliveries = std::move(deliveries), changes = std::move(changes)] {
    for (const auto& [subscriber, change] : deliveries) subscriber->tell(change);
  });
}

void Store::remember(const ChangePtr& change) {
  history_.push_back(change);
  history_bytes_ += cost_of(*change);
}

void Store::trim_history() {
  while (history_.size() > 1 &&
         (history_.size() > limits_.history_changes || history_bytes_ > limits_.history_bytes)) {
    const ChangePtr oldest = std::move(history_.front());
    history_.pop_front();
    history_bytes_ -= cost_of(*oldest);
    horizon_ = oldest->revision();
    if (oldest->before) to_forget_.push_back(oldest->before->revision());
    if (oldest->type == Change::Type::kDeleted) to_forget_.push_back(oldest->revision());
  }
}

StoredPtr Store::latest(const StoreKey& key) const {
  if (const auto found = pending_.find(key); found != pending_.end()) return found->second;
  return find_locked(key);  // on the writer thread, which alone changes the tables
}

// --- watching ---

Result<std::unique_ptr<Store::Subscription>> Store::subscribe(const std::string& resource,
                                                              const std::string& ns, Revision since,
                                                              Listener listener) {
  auto subscriber = std::make_shared<Subscriber>();
  subscriber->ns = ns;
  subscriber->listener = std::move(listener);
  const std::unique_lock lock(mutex_);
  if (since != 0 && since < horizon_) {
    return fail(ErrorCode::kGone,
                fmt::format("too old resource version: {} (oldest kept: {})", since, horizon_), {},
                "list again");
  }
  if (since > visible_) {
    return fail(ErrorCode::kInvalid,
                fmt::format("resource version {} is in the future (newest: {})", since, visible_));
  }
  if (subscriber->listener.on_snapshot) {
    Snapshot snapshot;
    snapshot.revision = visible_;
    if (const auto table = tables_.find(resource); table != tables_.end()) {
      const Table& stored = table->second;
      for (auto at = ns.empty() ? stored.begin() : stored.lower_bound({ns, {}});
           at != stored.end() && (ns.empty() || at->first.first == ns); ++at) {
        snapshot.items.push_back({{resource, at->first.first, at->first.second}, at->second});
      }
    }
    events_.post([subscriber, snapshot = std::move(snapshot)] {
      subscriber->gate.pass([&] { subscriber->listener.on_snapshot(snapshot); });
    });
  } else if (since != 0) {
    std::vector<ChangePtr> missed;
    for (auto at = history_.rbegin(); at != history_.rend() && (*at)->revision() > since; ++at) {
      if ((*at)->key.resource == resource && subscriber->wants(**at)) missed.push_back(*at);
    }
    if (!missed.empty()) {
      events_.post([subscriber, missed = std::move(missed)] {
        for (auto at = missed.rbegin(); at != missed.rend(); ++at) subscriber->tell(*at);
      });
    }
  }
  subscribers_[resource].insert(subscriber);
  return std::make_unique<Subscription>(*this, resource, subscriber);
}

Store::Subscription::Subscription(Store& store, std::string resource,
                                  std::shared_ptr<Subscriber> subscriber)
    : store_(store), resource_(std::move(resource)), subscriber_(std::move(subscriber)) {}

Store::Subscription::~Subscription() {
  subscriber_->gate.shut();
  const std::unique_lock lock(store_.mutex_);
  store_.subscribers_[resource_].erase(subscriber_);
}

void Store::stop() {
  {
    const std::lock_guard lock(queue_mutex_);
    stopping_ = true;
  }
  queue_changed_.notify_all();
  if (writer_.joinable()) writer_.join();
  events_.stop();
  if (dispatcher_.joinable()) dispatcher_.join();
}

Store::~Store() {
  stop();
}

}  // namespace berth::apiserver
