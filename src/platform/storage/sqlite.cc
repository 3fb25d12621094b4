#include "platform/storage/sqlite.h"

#include <utility>

#include <sqlite3.h>

namespace berth::platform {
namespace {

SqliteTrouble trouble_of(int code) {
  switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
      return SqliteTrouble::kNone;
    case SQLITE_FULL:
      return SqliteTrouble::kFull;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return SqliteTrouble::kCorrupt;
    case SQLITE_IOERR:
    case SQLITE_READONLY:
      return SqliteTrouble::kIo;
    default:
      return SqliteTrouble::kOther;
  }
}

std::unexpected<Error> failure(sqlite3* database, std::string_view file) {
  return fail(trouble_of(sqlite3_errcode(database)) == SqliteTrouble::kFull
                  ? ErrorCode::kUnavailable
                  : ErrorCode::kInternal,
              sqlite3_errmsg(database), std::string(file));
}

}  // namespace

void SqliteStatement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

SqliteStatement& SqliteStatement::bind(int parameter, int64_t value) {
  sqlite3_bind_int64(statement_.get(), parameter, value);
  return *this;
}

SqliteStatement& SqliteStatement::bind(int parameter, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), parameter, text.data(), text.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
  return *this;
}

Result<bool> SqliteStatement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return failure(sqlite3_db_handle(statement_.get()), {});
}

Result<> SqliteStatement::run() {
  const Result<bool> stepped = step();
  reset();
  if (!stepped) return std::unexpected(stepped.error());
  return {};
}

void SqliteStatement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

int64_t SqliteStatement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view SqliteStatement::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column));
  return bytes == nullptr ? std::string_view() : std::string_view(bytes, size);
}

void SqliteDatabase::Close::operator()(sqlite3* database) const {
  sqlite3_close_v2(database);
}

Result<SqliteDatabase> SqliteDatabase::open(const std::filesystem::path& file) {
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(file.c_str(), &raw,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  SqliteDatabase database;
  database.database_.reset(raw);
  database.file_ = file.string();
  if (code != SQLITE_OK) return failure(raw, database.file_);
  sqlite3_extended_result_codes(raw, 1);
  return database;
}

Result<> SqliteDatabase::execute(const std::string& sql) {
  if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return failure(database_.get(), file_);
  }
  return {};
}

Result<SqliteStatement> SqliteDatabase::prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) return failure(database_.get(), file_);
  SqliteStatement statement;
  statement.statement_.reset(raw);
  return statement;
}

SqliteTrouble SqliteDatabase::trouble() const {
  return trouble_of(sqlite3_extended_errcode(database_.get()));
}

bool SqliteDatabase::in_transaction() const {
  return sqlite3_get_autocommit(database_.get()) == 0;
}

}  // namespace berth::platform
