#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace berth::platform {

/// What a failed call of SQLite means for what to do next.
enum class SqliteTrouble {
  kNone,
  kFull,     ///< no space: nothing was changed, and it may work later
  kCorrupt,  ///< the file is damaged or no database
  kIo,       ///< the disk failed: what the file holds is only known after it is opened again
  kOther,
};

/// A prepared statement. Lives no longer than its database; used by one thread at a time.
class SqliteStatement {
 public:
  SqliteStatement() = default;

  /// Parameters count from 1. Text and blobs are not copied: they live until `reset`.
  SqliteStatement& bind(int parameter, int64_t value);
  SqliteStatement& bind(int parameter, std::string_view text);

  /// True: there is a row to read. False: done.
  Result<bool> step();
  /// Runs a statement that gives no rows, and makes it ready for the next run.
  Result<> run();
  void reset();

  /// Columns count from 0.
  int64_t integer(int column) const;
  /// Valid until the next step or reset.
  std::string_view text(int column) const;

 private:
  friend class SqliteDatabase;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class SqliteDatabase {
 public:
  SqliteDatabase() = default;

  /// Opens or makes the file. Errors say what `sqlite3` said, with the file as `where`.
  static Result<SqliteDatabase> open(const std::filesystem::path& file);

  Result<> execute(const std::string& sql);
  Result<SqliteStatement> prepare(std::string_view sql);

  /// Of the most recent call that failed.
  SqliteTrouble trouble() const;
  /// True between BEGIN and its COMMIT or ROLLBACK; some errors roll back by themselves.
  bool in_transaction() const;

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  std::unique_ptr<sqlite3, Close> database_;
  std::string file_;
};

}  // namespace berth::platform
