#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "apiserver/storage/stored.h"
#include "base/error.h"
#include "platform/storage/sqlite.h"

namespace berth::apiserver {

/// The durable log of changes in a SQLite file: the newest row of a key is the object, rows after
/// the horizon are the history that watches may resume from. Used by one thread at a time.
class LogFile {
 public:
  struct Row {
    Change::Type type;
    StoreKey key;
    Revision revision;
    std::string value;
  };

  /// Fails, without touching it, when the file is no sound database of ours: the error says how to
  /// get going again.
  static Result<LogFile> open(const std::filesystem::path& file);

  /// All rows, in the order of their revisions.
  Result<> load(const std::function<void(Row)>& on_row);
  /// Changes up to here are no longer in the history.
  Revision horizon() const { return horizon_; }
  /// No change has had a higher one.
  Revision revision() const { return revision_; }

  Result<> begin();
  Result<> append(const Change& change);
  Result<> forget(Revision row);
  Result<> set_horizon(Revision horizon, Revision newest);
  /// Durable when it returns. On an error nothing of the transaction was written, except with
  /// `must_reopen`.
  Result<> commit();
  void roll_back();

  /// The disk failed in a way after which only opening anew tells what is on it.
  bool must_reopen() const { return must_reopen_; }
  bool out_of_space() const { return out_of_space_; }

 private:
  Result<> note(Result<> outcome);

  platform::SqliteDatabase database_;
  platform::SqliteStatement insert_, remove_, meta_;
  std::string file_;
  Revision horizon_ = 0;
  Revision revision_ = 0;
  bool must_reopen_ = false;
  bool out_of_space_ = false;
};

}  // namespace berth::apiserver
