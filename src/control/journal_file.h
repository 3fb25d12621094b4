#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>

#include "control/journal.h"

namespace berth::control {

/// Segments as files `journal-000001.jsonl` in a folder; the newest `keep` stay. Lines reach the
/// operating system as they are written, but not the disk: the journal is an audit, and recovery
/// never reads it. The first error is told, and ends the segment: decisions go on without it.
class JournalFiles : public JournalSink {
 public:
  static Result<std::unique_ptr<JournalFiles>> open(std::filesystem::path folder, size_t keep,
                                                    std::function<void(const Error&)> on_error);
  void begin_segment() override;
  void append(std::string_view line) override;

 private:
  JournalFiles(std::filesystem::path folder, size_t keep,
               std::function<void(const Error&)> on_error)
      : folder_(std::move(folder)), keep_(keep), on_error_(std::move(on_error)) {}

  std::filesystem::path folder_;
  size_t keep_;
  std::function<void(const Error&)> on_error_;
  uint64_t number_ = 0;
  std::ofstream file_;
};

/// The segments of a folder, oldest first; a file stands for itself.
Result<std::vector<std::filesystem::path>> journal_segments(const std::filesystem::path& path);

}  // namespace berth::control
