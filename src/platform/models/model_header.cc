#include "platform/models/model_header.h"

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include <fmt/format.h>

namespace berth::platform {
namespace {

namespace fs = std::filesystem;

/// The error, with the file that it is about.
template <class T>
Result<T> in_file(const fs::path& path, Result<T> result) {
  if (!result)
    result.error().where = result.error().where.empty()
                               ? path.string()
                               : fmt::format("{}, {}", path.string(), result.error().where);
  return result;
}

Result<int64_t> total_of_parts(const fs::path& first) {
  static const std::regex kPart(R"((.*)-00001-of-(\d{5})\.gguf)");
  std::smatch match;
  const std::string name = first.filename().string();
  std::error_code error;
  if (!std::regex_match(name, match, kPart)) {
    const auto size = fs::file_size(first, error);
    if (error) return fail(ErrorCode::kNotFound, error.message(), first.string());
    return static_cast<int64_t>(size);
  }
  int64_t total = 0;
  const int parts = std::stoi(match[2]);
  for (int i = 1; i <= parts; ++i) {
    const fs::path part =
        first.parent_path() / fmt::format("{}-{:05}-of-{}.gguf", match[1].str(), i, match[2].str());
    total += static_cast<int64_t>(fs::file_size(part, error));
    if (error)
      return fail(ErrorCode::kNotFound, "a part of the model is missing", part.string(),
                  "put all parts into one folder");
  }
  return total;
}

Result<ModelHeader> read_folder(const fs::path& folder) {
  std::ifstream config(folder / "config.json");
  if (!config)
    return fail(ErrorCode::kNotFound, "no config.json", folder.string(),
                "give a GGUF file, or a folder with safetensors and their config.json");
  std::stringstream text;
  text << config.rdbuf();
  BERTH_TRY(ModelHeader header, in_file(folder / "config.json", parse_model_config(text.str())));
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".safetensors") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    BERTH_TRY(const int64_t bytes, in_file(entry.path(), parse_safetensors_size(file)));
    header.weights_bytes += bytes;
  }
  if (header.weights_bytes == 0)
    return fail(ErrorCode::kNotFound, "no safetensors files", folder.string(),
                "put the model's weights there");
  return header;
}

}  // namespace

Result<ModelHeader> read_model_header(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return read_folder(path);
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return fail(ErrorCode::kNotFound, "no such model", path, "write the path of a file or folder");
  BERTH_TRY(ModelHeader header, in_file<ModelHeader>(path, parse_gguf(file)));
  BERTH_TRY(header.weights_bytes, total_of_parts(path));
  return header;
}

Result<ModelHeader> ModelHeaders::read(const std::string& path) {
  std::error_code error;
  const fs::file_time_type changed = fs::last_write_time(path, error);
  const auto at = known_.find(path);
  if (!error && at != known_.end() && at->second.first == changed) return at->second.second;
  BERTH_TRY(ModelHeader header, read_model_header(path));
  known_[path] = {changed, header};
  return header;
}

}  // namespace berth::platform
