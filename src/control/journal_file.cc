#include "control/journal_file.h"

#include <algorithm>

#include <fmt/format.h>

namespace berth::control {
namespace {

namespace fs = std::filesystem;

bool is_segment(const fs::path& path) {
  return path.filename().string().starts_with("journal-") && path.extension() == ".jsonl";
}

std::vector<fs::path> segments_in(const fs::path& folder, std::error_code& error) {
  std::vector<fs::path> segments;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (is_segment(at->path())) segments.push_back(at->path());
  std::sort(segments.begin(), segments.end());
  return segments;
}

}  // namespace

Result<std::vector<fs::path>> journal_segments(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    if (fs::exists(path, error)) return std::vector{path};
    return fail(ErrorCode::kNotFound, "no such journal", path.string());
  }
  std::vector<fs::path> segments = segments_in(path, error);
  if (error) return fail(ErrorCode::kInternal, error.message(), path.string());
  if (segments.empty())
    return fail(ErrorCode::kNotFound, "the folder holds no journal", path.string(),
                "name the `journal` folder of a data folder, or one of its files");
  return segments;
}

Result<std::unique_ptr<JournalFiles>> JournalFiles::open(
    fs::path folder, size_t keep, std::function<void(const Error&)> on_error) {
  std::error_code error;
  fs::create_directories(folder, error);
  // It tells what everybody runs.
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);
  if (error) return fail(ErrorCode::kInternal, error.message(), folder.string());
  std::unique_ptr<JournalFiles> files(
      new JournalFiles(std::move(folder), std::max<size_t>(1, keep), std::move(on_error)));
  for (const fs::path& segment : segments_in(files->folder_, error)) {
    const std::string digits = segment.stem().string().substr(8);
    uint64_t number = 0;
    for (char digit : digits)
      if (digit >= '0' && digit <= '9') number = number * 10 + static_cast<uint64_t>(digit - '0');
    files->number_ = std::max(files->number_, number);
  }
  return files;
}

void JournalFiles::begin_segment() {
  file_.close();
  file_.clear();
  const fs::path path = folder_ / fmt::format("journal-{:06}.jsonl", ++number_);
  file_.open(path, std::ios::binary | std::ios::trunc);
  if (!file_) on_error_({ErrorCode::kInternal, "cannot write the journal", path.string(), {}});
  std::error_code error;
  std::vector<fs::path> segments = segments_in(folder_, error);
  for (size_t i = 0; i + keep_ < segments.size(); ++i) fs::remove(segments[i], error);
}

void JournalFiles::append(std::string_view line) {
  if (!file_.is_open()) return;
  file_ << line << '\n';
  file_.flush();
  if (file_) return;
  on_error_({ErrorCode::kInternal, "cannot write the journal; decisions go on without it",
             folder_.string(), "make room on its disk"});
  file_.close();
}

}  // namespace berth::control
