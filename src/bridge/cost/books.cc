#include "bridge/cost/books.h"

#include <algorithm>

#include <fmt/format.h>

#include "bridge/cost/holdings.h"
#include "core/cost/focus.h"

namespace berth::bridge {
namespace {

using objects::find_string;

std::string uid_of(const Json& object) {
  return std::string(find_string(object, {"metadata", "uid"}));
}

/// What was not said to have ended, and is gone: it held its place until its deletion.
Time gone_at(const Json& pod, Time now) {
  if (const auto ended = ended_at(pod, now)) return *ended;
  const auto deleted = parse_time(find_string(pod, {"metadata", "deletionTimestamp"}));
  return deleted ? std::min(*deleted, now) : now;
}

}  // namespace

Result<Books> Books::open(const std::filesystem::path& file) {
  BERTH_TRY(LedgerFile ledger, LedgerFile::open(file));
  Books books(std::move(ledger));
  BERTH_CHECK(books.load());
  return books;
}

Result<> Books::load() {
  BERTH_TRY(auto prices, file_.prices());
  std::tie(prices_, currency_) = std::move(prices);
  open_.clear();
  nodes_.clear();
  // What goes on has the latest end there is.
  return file_.each_interval(Time{INT64_MAX - 1}, Time{INT64_MAX}, [&](core::CostInterval each) {
    std::string uid = each.pod_uid;
    open_.insert_or_assign(std::move(uid), std::move(each));
  });
}

Result<> Books::set_prices(const core::PriceList& said, const std::string& currency, Time now) {
  if (!currency.empty() && !currency_.empty() && currency != currency_)
    return fail(ErrorCode::kInvalid,
                fmt::format("prices are in {}, and the ledger is in {}: bills of both cannot be "
                            "summed",
                            currency, currency_),
                "prices",
                fmt::format("state prices in {}, or begin another data folder", currency_));
  core::PriceList revised = prices_.revised(said, now);
  if (revised == prices_ && (currency.empty() || currency == currency_)) return {};
  prices_ = std::move(revised);
  if (!currency.empty()) currency_ = currency;
  budgets_.forget();
  write([&] { return file_.set_prices(prices_, currency_); });
  return {};
}

void Books::write(const std::function<Result<>()>& what) {
  if (!trouble_) return;
  if (!changed_) trouble_ = file_.begin();
  changed_ = true;
  if (trouble_) trouble_ = what();
}

Result<> Books::keep(const std::string& cursor) {
  write([&] { return file_.set_cursor("pods", cursor); });
  if (trouble_) trouble_ = file_.commit();
  changed_ = false;
  Result<> outcome = std::exchange(trouble_, {});
  if (outcome) return {};
  file_.roll_back();
  budgets_.forget();
  if (const auto loaded = load(); !loaded) return loaded;
  return outcome;
}

void Books::hold(core::CostInterval interval, Time now) {
  const auto known = open_.find(interval.pod_uid);
  if (known != open_.end()) {
    if (interval.holds == known->second.holds) return;
    // Resized: from now on it holds something else.
    interval.start = std::max(now, known->second.start + Duration::nanoseconds(1));
    interval.owner = known->second.owner;
    close(interval.pod_uid, interval.start);
  }
  write([&] { return file_.add(interval); });
  open_.insert_or_assign(interval.pod_uid, interval);
}

void Books::close(const std::string& uid, Time end) {
  const auto known = open_.find(uid);
  if (known == open_.end()) return;
  core::CostInterval ended = std::move(known->second);
  open_.erase(known);
  ended.end = std::max(ended.start, end);
  write([&] { return file_.end(uid, ended.start, *ended.end); });
  ended.holds = priced(ended.holds, prices_);
  budgets_.on_end(ended);
}

void Books::on_node(const Json& node, Time now) {
  const std::string name(find_string(node, {"metadata", "name"}));
  const auto created = parse_time(find_string(node, {"metadata", "creationTimestamp"}));
  const core::PricedAmounts capacity = node_capacity(node);
  const std::string uid = "node/" + uid_of(node);
  const bool known = open_.contains(uid);
  const Time since = known || !created ? now : *created;
  if (core::PricedAmounts& told = nodes_[name]; told != capacity) {
    told = capacity;
    write([&] { return file_.add_node(name, capacity, since); });
  }
  hold({.pod_uid = uid,
        .start = since,
        .end = {},
        .node = name,
        .owner = {"", "", "", "node reserve"},
        .overhead = true,
        .holds = node_reserve(node)},
       now);
}

void Books::on_node_gone(const Json& node, Time now) {
  const std::string name(find_string(node, {"metadata", "name"}));
  nodes_.erase(name);
  write([&] { return file_.end_node(name, now); });
  close("node/" + uid_of(node), now);
}

void Books::on_pod(const Json& pod, const Json& node, core::CostOwner owner, Time now) {
  const auto start = bound_at(pod);
  if (!start) return;
  if (ended_at(pod, now)) return on_pod_gone(pod, node, std::move(owner), now);
  const bool overhead = owner.tenant == "kube-system";
  hold({.pod_uid = uid_of(pod),
        .start = *start,
        .end = {},
        .node = std::string(find_string(pod, {"spec", "nodeName"})),
        .owner = std::move(owner),
        .overhead = overhead,
        .holds = pod_holding(pod, node)},
       now);
}

void Books::on_pod_gone(const Json& pod, const Json& node, core::CostOwner owner, Time now) {
  const auto start = bound_at(pod);
  if (!start) return;
  const std::string uid = uid_of(pod);
  const Time end = gone_at(pod, now);
  if (open_.contains(uid)) return close(uid, end);
  // Either it is known to have ended, and stays as it is; or it came and went unseen.
  const bool overhead = owner.tenant == "kube-system";
  write([&] {
    return file_.add({.pod_uid = uid,
                      .start = *start,
                      .end = end,
                      .node = std::string(find_string(pod, {"spec", "nodeName"})),
                      .owner = std::move(owner),
                      .overhead = overhead,
                      .holds = pod_holding(pod, node)});
  });
}

void Books::on_all_pods(const std::function<bool(const std::string& uid)>& there, Time now) {
  std::vector<std::string> gone;
  for (const auto& [uid, interval] : open_)
    if (!uid.starts_with("node/") && !there(uid)) gone.push_back(uid);
  for (const std::string& uid : gone) close(uid, now);
}

void Books::on_tokens(const std::string& gateway, const std::string& tenant,
                      const std::string& model, TokenCount total, Time at) {
  write([&] { return file_.count_tokens(gateway, tenant, model, total, at); });
}

Result<core::CostLedger> Books::ledger(Time from, Time to) {
  core::CostLedger ledger;
  BERTH_CHECK(file_.each_node(from, to, [&](LedgerFile::NodeSpan span) {
    ledger.on_node(span.node, priced(span.capacity, prices_), span.since);
    if (span.until) ledger.on_node_gone(span.node, *span.until);
  }));
  BERTH_CHECK(file_.each_interval(from, to, [&](core::CostInterval interval) {
    interval.holds = priced(interval.holds, prices_);
    ledger.on_start(interval);
  }));
  return ledger;
}

Result<Json> Books::report(core::CostDimension by, Time from, Time to) {
  BERTH_TRY(const core::CostLedger books, ledger(from, to));
  BERTH_TRY(const LedgerFile::Tokens tokens, file_.tokens(from, to));
  const bool by_model = by == core::CostDimension::kModel;
  const bool has_tokens =
      by_model || by == core::CostDimension::kTenant || by == core::CostDimension::kConsumer;
  std::map<std::string, TokenCount> by_key;
  core::TokensOfModels in_all;
  for (const auto& [owner, count] : tokens) {
    const std::string& key = by_model ? owner.second : owner.first;
    by_key[key].input += count.input;
    by_key[key].output += count.output;
    in_all[owner] = count.input + count.output;
  }
  const core::CostReport report = books.report(prices_, by, from, to, in_all);
  JsonArray rows;
  const auto add = [&](const std::string& key, Money cost, Duration device_time) {
    JsonObject row{
        {"key", key}, {"costMicro", cost.micro}, {"deviceSeconds", device_time.to_seconds()}};
    const auto found = by_key.find(key);
    if (has_tokens && found != by_key.end()) {
      const TokenCount count = found->second;
      row["inputTokens"] = count.input;
      row["outputTokens"] = count.output;
      // A tenant's requests run in the pods of others.
      if (by_model)
        if (const auto each = core::cost_per_million_tokens(cost, count.input + count.output))
          row["costPerMillionTokensMicro"] = each->micro;
      by_key.erase(found);
    }
    rows.push_back(std::move(row));
  };
  for (const core::CostReport::Row& row : report.rows) add(row.key, row.cost, row.device_time);
  if (has_tokens)
    for (const auto& [key, count] : std::map(by_key)) add(key, {}, {});
  JsonObject prices;
  for (const auto& [of, changes] : prices_.changes()) prices[of] = prices_.at(of, to).micro;
  return JsonObject{{"from", format_time(from)},       {"to", format_time(to)},
                    {"currency", currency_},           {"pricesMicro", std::move(prices)},
                    {"rows", std::move(rows)},         {"allocatedMicro", report.allocated.micro},
                    {"idleMicro", report.idle.micro},  {"overheadMicro", report.overhead.micro},
                    {"totalMicro", report.total.micro}};
}

Result<std::string> Books::focus(Time from, Time to) {
  BERTH_TRY(const core::CostLedger books, ledger(from, to));
  return core::focus_csv(books, prices_, currency_, from, to);
}

std::vector<Budgets::Judgement> Books::judge(Time now) {
  const auto all = [&](Time from, Time to, const auto& visit) {
    const auto read = file_.each_interval(from, to, [&](core::CostInterval interval) {
      interval.holds = priced(interval.holds, prices_);
      visit(interval);
    });
    if (!read) trouble_ = read;
  };
  const auto open = [&](Time, Time, const auto& visit) {
    for (const auto& [uid, interval] : open_) {
      core::CostInterval each = interval;
      each.holds = priced(interval.holds, prices_);
      visit(each);
    }
  };
  return budgets_.judge(prices_, all, open, now);
}

}  // namespace berth::bridge
