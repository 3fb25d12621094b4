#include "apiserver/storage/log_file.h"

#include <utility>

#include <fmt/format.h>

namespace berth::apiserver {
namespace {

constexpr int64_t kApplicationId = 0x42727468;  // "Brth"
constexpr int64_t kFormat = 1;

/// SQLite finds damaged pages by their structure only; this finds damage inside a value. FNV-1a.
int64_t checksum(std::string_view value) {
  uint64_t sum = 0xcbf29ce484222325;
  for (const char byte : value) {
    sum = (sum ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  }
  return static_cast<int64_t>(sum);
}

std::unexpected<Error> damaged(std::string_view what, const std::string& file) {
  return fail(ErrorCode::kInternal, fmt::format("the database is damaged: {}", what), file,
              fmt::format("restore it from a backup, or save what can be read with `sqlite3 {} "
                          ".recover`, or move it away to start empty",
                          file));
}

Result<int64_t> read_integer(platform::SqliteDatabase& database, std::string_view sql) {
  BERTH_TRY(auto statement, database.prepare(sql));
  BERTH_TRY(const bool row, statement.step());
  return row ? statement.integer(0) : 0;
}

Result<> set_up(platform::SqliteDatabase& database, const std::string& file) {
  // Before the first read: then no shared memory file is needed, which a full disk has no room for.
  BERTH_CHECK(database.execute("PRAGMA locking_mode=EXCLUSIVE"));
  BERTH_TRY(const int64_t id, read_integer(database, "PRAGMA application_id"));
  BERTH_TRY(const int64_t tables, read_integer(database, "SELECT count(*) FROM sqlite_schema"));
  if (tables > 0 && id != kApplicationId) {
    return fail(ErrorCode::kInvalid, "this is a database of another program", file,
                "choose another data folder");
  }
  BERTH_TRY(const int64_t format, read_integer(database, "PRAGMA user_version"));
  if (format > kFormat) {
    return fail(ErrorCode::kUnsupported, "written by a newer version of Berth", file,
                "start that version");
  }
  BERTH_CHECK(
      database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                       "PRAGMA cache_size=-1024; PRAGMA temp_store=MEMORY;"
                       "PRAGMA journal_size_limit=16777216"));
  if (tables > 0) return {};
  return database.execute(fmt::format(
      "BEGIN; PRAGMA application_id={}; PRAGMA user_version={};"
      "CREATE TABLE log(revision INTEGER PRIMARY KEY, change INTEGER NOT NULL,"
      " resource TEXT NOT NULL, ns TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL,"
      " checksum INTEGER NOT NULL);"
      "CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK (id = 1), horizon INTEGER NOT NULL,"
      " newest INTEGER NOT NULL);"
      "INSERT INTO meta VALUES(1, 1, 1); COMMIT",
      kApplicationId, kFormat));
}

}  // namespace

Result<LogFile> LogFile::open(const std::filesystem::path& file) {
  LogFile log;
  log.file_ = file.string();
  BERTH_TRY(log.database_, platform::SqliteDatabase::open(file));
  const Result<> ready = [&]() -> Result<> {
    BERTH_CHECK(set_up(log.database_, log.file_));
    BERTH_TRY(log.insert_, log.database_.prepare("INSERT INTO log VALUES(?,?,?,?,?,?,?)"));
    BERTH_TRY(log.remove_, log.database_.prepare("DELETE FROM log WHERE revision=?"));
    BERTH_TRY(log.meta_, log.database_.prepare("UPDATE meta SET horizon=?, newest=?"));
    BERTH_TRY(log.horizon_, read_integer(log.database_, "SELECT horizon FROM meta"));
    BERTH_TRY(log.revision_,
              read_integer(log.database_,
                           "SELECT max(newest, (SELECT ifnull(max(revision), 0) FROM log)) "
                           "FROM meta"));
    return {};
  }();
  if (!ready) {
    if (log.database_.trouble() == platform::SqliteTrouble::kCorrupt) {
      return damaged(ready.error().what, log.file_);
    }
    Error error = ready.error();
    error.where = log.file_;
    return std::unexpected(std::move(error));
  }
  return log;
}

Result<> LogFile::load(const std::function<void(Row)>& on_row) {
  BERTH_TRY(auto rows, database_.prepare("SELECT revision, change, resource, ns, name, value,"
                                         " checksum FROM log ORDER BY revision"));
  for (;;) {
    const Result<bool> more = rows.step();
    if (!more) return damaged(more.error().what, file_);
    if (!*more) return {};
    Row row{static_cast<Change::Type>(rows.integer(1)),
            {std::string(rows.text(2)), std::string(rows.text(3)), std::string(rows.text(4))},
            rows.integer(0),
            std::string(rows.text(5))};
    if (rows.integer(1) < 0 || rows.integer(1) > 2 || checksum(row.value) != rows.integer(6)) {
      return damaged(fmt::format("revision {} ({} {}/{}) does not match its checksum", row.revision,
                                 row.key.resource, row.key.ns, row.key.name),
                     file_);
    }
    on_row(std::move(row));
  }
}

Result<> LogFile::note(Result<> outcome) {
  if (outcome) return outcome;
  const platform::SqliteTrouble trouble = database_.trouble();
  out_of_space_ = trouble == platform::SqliteTrouble::kFull;
  must_reopen_ =
      trouble == platform::SqliteTrouble::kIo || trouble == platform::SqliteTrouble::kCorrupt;
  Error error = outcome.error();
  error.code = out_of_space_ ? ErrorCode::kUnavailable : ErrorCode::kInternal;
  error.where = file_;
  error.fix = out_of_space_ ? "free space on that disk; reading still works"
                            : "check the disk, then start Berth again; reading still works";
  return std::unexpected(std::move(error));
}

Result<> LogFile::begin() {
  return note(database_.execute("BEGIN IMMEDIATE"));
}

Result<> LogFile::append(const Change& change) {
  const std::string& value = change.object->bytes();
  return note(insert_.bind(1, change.revision())
                  .bind(2, static_cast<int64_t>(change.type))
                  .bind(3, change.key.resource)
                  .bind(4, change.key.ns)
                  .bind(5, change.key.name)
                  .bind(6, value)
                  .bind(7, checksum(value))
                  .run());
}

Result<> LogFile::forget(Revision row) {
  return note(remove_.bind(1, row).run());
}

Result<> LogFile::set_horizon(Revision horizon, Revision newest) {
  return note(meta_.bind(1, horizon).bind(2, newest).run());
}

Result<> LogFile::commit() {
  Result<> outcome = note(database_.execute("COMMIT"));
  if (outcome) out_of_space_ = false;
  return outcome;
}

void LogFile::roll_back() {
  if (database_.in_transaction()) (void)database_.execute("ROLLBACK");
}

}  // namespace berth::apiserver
