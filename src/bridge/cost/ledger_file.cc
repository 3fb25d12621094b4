#include "bridge/cost/ledger_file.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "objects/json.h"

namespace berth::bridge {
namespace {

constexpr int64_t kOpen = INT64_MAX;  ///< the end of what goes on
constexpr int64_t kMinute_ns = 60'000'000'000;

/// Written ahead and synced at checkpoints: a commit survives the end of the process at once, and
/// after a loss of power the cursor, too, is where it was.
constexpr const char* kSchema = R"(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS intervals(
  pod_uid TEXT, started INTEGER, ended INTEGER, node TEXT, queue TEXT, tenant TEXT, model TEXT, job TEXT,
  overhead INTEGER, holds TEXT, PRIMARY KEY(pod_uid, started)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS intervals_ended ON intervals(ended);
CREATE TABLE IF NOT EXISTS nodes(
  node TEXT, since INTEGER, until INTEGER, capacity TEXT, PRIMARY KEY(node, since)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prices(
  what TEXT, since INTEGER, per_hour_micro INTEGER, PRIMARY KEY(what, since)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens(
  minute INTEGER, tenant TEXT, model TEXT, input INTEGER, output INTEGER,
  PRIMARY KEY(minute, tenant, model)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gateways(
  gateway TEXT, tenant TEXT, model TEXT, input INTEGER, output INTEGER,
  PRIMARY KEY(gateway, tenant, model)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes(name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
)";

std::string write_amounts(const core::PricedAmounts& amounts) {
  JsonObject json;
  for (const auto& [what, milli] : amounts) json[what] = milli;
  return boost::json::serialize(json);
}

core::PricedAmounts read_amounts(std::string_view text) {
  core::PricedAmounts amounts;
  boost::system::error_code error;
  const Json json = boost::json::parse(text, error);
  if (error || !json.is_object()) return amounts;
  for (const auto& [what, milli] : json.get_object())
    if (milli.is_int64()) amounts[std::string(what)] = milli.get_int64();
  return amounts;
}

}  // namespace

Result<LedgerFile> LedgerFile::open(const std::filesystem::path& file) {
  LedgerFile ledger;
  BERTH_TRY(auto database, platform::SqliteDatabase::open(file));
  ledger.database_ = std::make_unique<platform::SqliteDatabase>(std::move(database));
  BERTH_CHECK(ledger.database_->execute(kSchema));
  return ledger;
}

Result<platform::SqliteStatement*> LedgerFile::statement(const char* sql) {
  const auto found = statements_.find(sql);
  if (found != statements_.end()) return &found->second;
  BERTH_TRY(auto made, database_->prepare(sql));
  return &statements_.emplace(sql, std::move(made)).first->second;
}

Result<> LedgerFile::begin() {
  return database_->execute("BEGIN IMMEDIATE");
}

Result<> LedgerFile::commit() {
  return database_->execute("COMMIT");
}

void LedgerFile::roll_back() {
  if (database_->in_transaction()) (void)database_->execute("ROLLBACK");
}

Result<> LedgerFile::add(const core::CostInterval& interval) {
  BERTH_TRY(auto* insert, statement("INSERT OR IGNORE INTO intervals VALUES(?,?,?,?,?,?,?,?,?,?)"));
  const std::string holds = write_amounts(interval.holds);
  insert->bind(1, interval.pod_uid).bind(2, interval.start.ns);
  insert->bind(3, interval.end ? std::max(interval.start, *interval.end).ns : kOpen);
  insert->bind(4, interval.node).bind(5, interval.owner.queue).bind(6, interval.owner.tenant);
  insert->bind(7, interval.owner.model).bind(8, interval.owner.job);
  insert->bind(9, int64_t{interval.overhead}).bind(10, holds);
  return insert->run();
}

Result<> LedgerFile::end(const std::string& pod_uid, Time start, Time end) {
  BERTH_TRY(auto* update,
            statement("UPDATE intervals SET ended = max(started, ?) WHERE pod_uid = ? AND "
                      "started = ? AND ended = 9223372036854775807"));
  update->bind(1, end.ns).bind(2, pod_uid).bind(3, start.ns);
  return update->run();
}

Result<> LedgerFile::add_node(const std::string& node, const core::PricedAmounts& capacity,
                              Time since) {
  const std::string text = write_amounts(capacity);
  BERTH_TRY(auto* newest, statement("SELECT since, until, capacity FROM nodes WHERE node = ? "
                                    "ORDER BY since DESC LIMIT 1"));
  newest->bind(1, node);
  BERTH_TRY(const bool known, newest->step());
  const bool open = known && newest->integer(1) == kOpen;
  const bool same = open && newest->text(2) == text;
  const int64_t earliest = !known ? INT64_MIN : open ? newest->integer(0) + 1 : newest->integer(1);
  newest->reset();
  if (same) return {};
  since.ns = std::max(since.ns, earliest);
  if (open) BERTH_CHECK(end_node(node, since));
  BERTH_TRY(auto* insert, statement("INSERT OR IGNORE INTO nodes VALUES(?,?,?,?)"));
  insert->bind(1, node).bind(2, since.ns).bind(3, kOpen).bind(4, text);
  return insert->run();
}

Result<> LedgerFile::end_node(const std::string& node, Time at) {
  BERTH_TRY(auto* update, statement("UPDATE nodes SET until = max(since, ?) WHERE node = ? AND "
                                    "until = 9223372036854775807"));
  update->bind(1, at.ns).bind(2, node);
  return update->run();
}

Result<> LedgerFile::set_prices(const core::PriceList& prices, const std::string& currency) {
  BERTH_TRY(auto* clear, statement("DELETE FROM prices"));
  BERTH_CHECK(clear->run());
  BERTH_TRY(auto* insert, statement("INSERT INTO prices VALUES(?,?,?)"));
  for (const auto& [of, changes] : prices.changes())
    for (const auto& [from, price] : changes) {
      insert->bind(1, of).bind(2, from.ns).bind(3, price.micro);
      BERTH_CHECK(insert->run());
    }
  return set_cursor("currency", currency);
}

Result<std::pair<core::PriceList, std::string>> LedgerFile::prices() {
  core::PriceList prices;
  BERTH_TRY(auto* select, statement("SELECT what, since, per_hour_micro FROM prices"));
  while (true) {
    BERTH_TRY(const bool row, select->step());
    if (!row) break;
    prices.set(std::string(select->text(0)), {select->integer(2)}, Time{select->integer(1)});
  }
  select->reset();
  BERTH_TRY(std::string currency, cursor("currency"));
  return std::pair(std::move(prices), std::move(currency));
}

Result<> LedgerFile::count_tokens(const std::string& gateway, const std::string& tenant,
                                  const std::string& model, TokenCount total, Time at) {
  BERTH_TRY(auto* select, statement("SELECT input, output FROM gateways WHERE gateway = ? AND "
                                    "tenant = ? AND model = ?"));
  select->bind(1, gateway).bind(2, tenant).bind(3, model);
  BERTH_TRY(const bool known, select->step());
  const TokenCount before =
      known ? TokenCount{select->integer(0), select->integer(1)} : TokenCount{};
  select->reset();
  const TokenCount more{total.input - before.input, total.output - before.output};
  if (more.input <= 0 && more.output <= 0) return {};
  BERTH_TRY(auto* replace, statement("INSERT OR REPLACE INTO gateways VALUES(?,?,?,?,?)"));
  replace->bind(1, gateway).bind(2, tenant).bind(3, model);
  replace->bind(4, total.input).bind(5, total.output);
  BERTH_CHECK(replace->run());
  BERTH_TRY(auto* insert,
            statement("INSERT INTO tokens VALUES(?,?,?,?,?) ON CONFLICT DO UPDATE SET "
                      "input = input + excluded.input, output = output + excluded.output"));
  insert->bind(1, at.ns - at.ns % kMinute_ns).bind(2, tenant).bind(3, model);
  insert->bind(4, more.input).bind(5, more.output);
  return insert->run();
}

Result<LedgerFile::Tokens> LedgerFile::tokens(Time from, Time to) {
  Tokens tokens;
  BERTH_TRY(auto* select, statement("SELECT tenant, model, sum(input), sum(output) FROM tokens "
                                    "WHERE minute > ? AND minute < ? GROUP BY tenant, model"));
  select->bind(1, from.ns - kMinute_ns).bind(2, to.ns);
  while (true) {
    BERTH_TRY(const bool row, select->step());
    if (!row) break;
    tokens[{std::string(select->text(0)), std::string(select->text(1))}] = {select->integer(2),
                                                                            select->integer(3)};
  }
  select->reset();
  return tokens;
}

Result<std::string> LedgerFile::cursor(const std::string& of) {
  BERTH_TRY(auto* select, statement("SELECT value FROM notes WHERE name = ?"));
  select->bind(1, of);
  BERTH_TRY(const bool known, select->step());
  std::string value(known ? select->text(0) : std::string_view());
  select->reset();
  return value;
}

Result<> LedgerFile::set_cursor(const std::string& of, const std::string& cursor) {
  BERTH_TRY(auto* replace, statement("INSERT OR REPLACE INTO notes VALUES(?,?)"));
  replace->bind(1, of).bind(2, cursor);
  return replace->run();
}

Result<> LedgerFile::each_interval(Time from, Time to,
                                   const std::function<void(core::CostInterval)>& visit) {
  BERTH_TRY(auto* select,
            statement("SELECT pod_uid, started, ended, node, queue, tenant, model, job, overhead, "
                      "holds FROM intervals WHERE ended > ? AND started < ?"));
  select->bind(1, from.ns).bind(2, to.ns);
  while (true) {
    BERTH_TRY(const bool row, select->step());
    if (!row) break;
    const auto text = [&](int column) { return std::string(select->text(column)); };
    const Time end{select->integer(2)};
    visit({.pod_uid = text(0),
           .start = Time{select->integer(1)},
           .end = end.ns == kOpen ? std::nullopt : std::optional(end),
           .node = text(3),
           .owner = {text(4), text(5), text(6), text(7)},
           .overhead = select->integer(8) != 0,
           .holds = read_amounts(select->text(9))});
  }
  select->reset();
  return {};
}

Result<> LedgerFile::each_node(Time from, Time to, const std::function<void(NodeSpan)>& visit) {
  BERTH_TRY(auto* select,
            statement("SELECT node, since, until, capacity FROM nodes WHERE until > ? AND "
                      "since < ? ORDER BY node, since"));
  select->bind(1, from.ns).bind(2, to.ns);
  while (true) {
    BERTH_TRY(const bool row, select->step());
    if (!row) break;
    const Time until{select->integer(2)};
    visit({std::string(select->text(0)), Time{select->integer(1)},
           until.ns == kOpen ? std::nullopt : std::optional(until), read_amounts(select->text(3))});
  }
  select->reset();
  return {};
}

}  // namespace berth::bridge
